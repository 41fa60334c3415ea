"""A paper: what it ran, what is run here, and the compact records of it.

`Recipe` says how a paper trains, `Comparison` which arms stand side by side,
`Measurement` what else is measured, and `Paper` holds them with the tables and
figures of its README. Runs go through `keras_lbreg.compare` in the ignored
folder `runs/recipes/PAPER/`; each that ends is added to
`recipes/PAPER/results/COMPARISON.jsonl`.
"""

import dataclasses
import json
import math
import pathlib
import shutil
from collections.abc import Callable, Mapping

import keras
import numpy as np

from keras_lbreg import LARS, Arm, CoupledSGD, Regime, Workload, compare
from keras_lbreg.comparison import Results, train
from keras_lbreg.data import load_dataset
from keras_lbreg.files import read_json, write_file
from keras_lbreg.training.records import EpochRecord, RunResult

# The ignored folder of the runs.
WORK = pathlib.Path(__file__).parents[1] / "runs" / "recipes"

# What the momentum is called, and the class.
OPTIMIZERS = {
    "sgd": ("momentum", keras.optimizers.SGD),
    "coupled_sgd": ("momentum", CoupledSGD),
    "adam": ("beta_1", keras.optimizers.Adam),
    "lamb": ("beta_1", keras.optimizers.Lamb),
    "lars": ("momentum", LARS),
}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a paper trains a network with its small batch."""

    # A function of input shape, dtype, classes and moments, see
    # `recipes.networks`.
    network: Callable
    # Of the small batch at epoch 0.
    learning_rate: float
    epochs: int
    # Pairs `(fraction, factor)`: from this fraction of the epochs on, the
    # learning rate is `factor` times the first one.
    milestones: tuple = ((0.5, 0.1), (0.75, 0.01))
    small_batch_size: int = 128
    batch_size: int = 4096
    # A key of `OPTIMIZERS`.
    optimizer: str = "sgd"
    momentum: float = 0.9
    # The global norm that the gradient is clipped to.
    clip: float | None = None
    # Coupled in "coupled_sgd" and "lars", decoupled in the others.
    weight_decay: float = 0.0
    # After every epoch; only "coupled_sgd" can.
    reset_momentum: bool = False
    # Momentum and epsilon of batch normalization; Keras has .99 and 1e-3.
    norm: tuple = (0.9, 1e-5)
    # Settings of techniques, by technique name.
    techniques: Mapping = dataclasses.field(default_factory=dict)
    # What images of different sizes are resized to.
    image_size: tuple | None = None
    # Squares of this height and width are reduced to their mean.
    pooled: int = 1
    augmentation: Callable | None = None
    # Mean and variance by channel; `None`: those of the training data.
    pixel_moments: tuple | None = None

    def workload(self, dataset, source, samples=None):
        """The `Workload` of a `Dataset`; of its first samples, to try it."""
        x_train, x_val = (
            pooled(x[:samples], self.pooled)
            for x in (dataset.x_train, dataset.x_val)
        )
        regime, batch_size = self.regime(), self.batch_size
        if samples is not None:
            # Two updates an epoch, and eight of the small batch.
            batch_size = min(batch_size, len(x_train) // 2)
            small = min(regime.base_batch_size, max(1, batch_size // 4))
            regime = dataclasses.replace(regime, base_batch_size=small)
        shape = x_train.shape[1:]
        if self.augmentation is not None:
            shape = self.augmentation.output_shape(shape)
            x_val = self.augmentation.of_validation(x_val)
        moments = self.pixel_moments or moments_of(x_train)
        images = shape, str(x_train.dtype), dataset.classes, moments
        return Workload(
            lambda steps_per_epoch: self.build_model(images, steps_per_epoch),
            train_data=(x_train, dataset.y_train[:samples]),
            validation_data=(x_val, dataset.y_val[:samples]),
            regime=regime,
            name=dataset.name,
            title=dataset.title,
            notes=dataset.notes,
            batch_size=batch_size,
            techniques=self.techniques,
            augmentation=self.augmentation,
            source=source,
        )

    def regime(self):
        """The small batch's `Regime`, with the milestones inside of the run."""
        epochs = [(round(s * self.epochs), f) for s, f in self.milestones]
        milestones = {
            epoch: self.learning_rate * factor
            for epoch, factor in epochs
            if 0 < epoch < self.epochs
        }
        return Regime(
            self.small_batch_size, self.learning_rate, self.epochs, milestones
        )

    def build_model(self, images, steps_per_epoch):
        """The compiled model, its normalization with our constants."""
        model = self.network(*images)
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum, layer.epsilon = self.norm
        momentum, optimizer = OPTIMIZERS[self.optimizer]
        settings = {momentum: self.momentum, "global_clipnorm": self.clip}
        if self.weight_decay:
            settings["weight_decay"] = self.weight_decay
        if self.reset_momentum:
            settings["reset_momentum_every"] = steps_per_epoch
        model.compile(
            optimizer(self.learning_rate, **settings),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        return model


def pooled(images, size):
    """Images of the means of squares of `size` times `size` pixels."""
    if size == 1:
        return images
    count, height, width, channels = images.shape
    squares = (count, height // size, size, width // size, size, channels)
    means = images.reshape(squares).mean(axis=(2, 4), dtype="float32")
    return np.rint(means).astype(images.dtype)


def moments_of(images):
    """Mean and variance of the pixels by channel."""
    pixels = images.reshape(-1, images.shape[-1])
    return (
        pixels.mean(axis=0, dtype="float64").tolist(),
        np.maximum(pixels.var(axis=0, dtype="float64"), 1e-12).tolist(),
    )


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Arms on one network and dataset, beside the paper's numbers."""

    # On the command line and of the record: letters, digits and `_`.
    name: str
    # Network and data.
    title: str
    # See `keras_lbreg.load_dataset`.
    dataset: str
    recipe: Recipe
    # Names of standard arms and `Arm`s in the paper's order, or a function
    # that returns them.
    arms: tuple | Callable
    # The table or figure of the paper that it belongs to.
    part: str = ""
    # The paper's validation accuracy in per cent by arm.
    paper: Mapping = dataclasses.field(default_factory=dict)
    seeds: int = 3
    first_seed: int = 0
    # `None`: the recipe's.
    batch_size: int | None = None
    # Share of the training data that is set apart to validate on: what is
    # chosen by the results has not seen the validation data.
    holdout: float = 0.0

    def all_arms(self):
        """The arms by name: `Arm`s, and the names of standard arms."""
        arms = self.arms() if callable(self.arms) else self.arms
        return {arm.name if isinstance(arm, Arm) else arm: arm for arm in arms}

    def stem(self, epochs=None):
        """The name of the record's file; shortened runs have their own."""
        if epochs in (None, self.recipe.epochs):
            return self.name
        return f"{self.name}-{epochs}-epochs"

    def workload(self, epochs=None, data_dir=None, dataset=None, samples=None):
        """The `Workload`: of the paper, or of other epochs or data.

        The learning rate of a shorter run drops at the same fractions of it.
        `dataset` is a `Dataset` or an `.npz` file of `lbreg data export`,
        `samples` how many of the training samples to take, to try it.
        """
        recipe = dataclasses.replace(
            self.recipe,
            epochs=epochs or self.recipe.epochs,
            batch_size=self.batch_size or self.recipe.batch_size,
        )
        dataset = self.dataset if dataset is None else dataset
        if isinstance(dataset, str):
            dataset = load_dataset(dataset, data_dir, recipe.image_size)
        return recipe.workload(dataset, f"recipes/{self.name}", samples)

    def trained(self, arm, seed, epochs=None, data_dir=None):
        """A model after the first epochs of the whole run, and its updates."""
        workload = self.workload(data_dir=data_dir)
        regime = workload.regime
        epochs = epochs or regime.epochs
        milestones = [(e, rate) for e, rate in regime.milestones if e < epochs]
        regime = dataclasses.replace(
            regime, epochs=epochs, milestones=milestones
        )
        folder = WORK / "trained" / f"{self.name}-{arm}-{seed}-{epochs}-epochs"
        path = folder / "model.keras"
        result = train(
            dataclasses.replace(workload, regime=regime),
            arm,
            seed=seed,
            out=folder,
            model_path=path,
            progress=False,
        )
        if result.status != "finished":
            raise ValueError(f"The run in {folder} failed: {result.reason}")
        return keras.models.load_model(path), result.updates


@dataclasses.dataclass(frozen=True)
class Measurement:
    """Something to measure that is no comparison of training runs.

    `measure(progress, seeds=None, data_dir=None)` returns plain data;
    `progress` wraps what it loops over.
    """

    name: str
    title: str
    measure: Callable
    part: str = "ours"


@dataclasses.dataclass(frozen=True)
class Paper:
    """One paper: what can be run, and the tables and figures made of it.

    `table(paper)` returns Markdown, by the name in the README's
    `<!-- table: NAME -->`; `figure(paper)` a Matplotlib figure, or `None` where
    results are missing, by file name in `figures/`.
    """

    name: str
    # Authors, year and title.
    title: str
    # The recipe's folder.
    folder: pathlib.Path
    comparisons: tuple
    measurements: tuple = ()
    tables: Mapping = dataclasses.field(default_factory=dict)
    figures: Mapping = dataclasses.field(default_factory=dict)

    def get(self, name):
        """The comparison or measurement of this name."""
        parts = {p.name: p for p in (*self.comparisons, *self.measurements)}
        if name not in parts:
            raise ValueError(
                f"Invalid name. Expected one of {list(parts)}. Received: "
                f"{name!r}"
            )
        return parts[name]

    def record_path(self, stem):
        return self.folder / "results" / f"{stem}.jsonl"

    def measurement_path(self, name):
        return self.folder / "results" / f"{name}.json"

    def records(self, name):
        """The recorded `Results` of a comparison, at every length.

        The longest first; of one length those with re-estimated statistics
        before those of the time when arms were judged with the moving ones,
        once as many seeds of all their arms have ended.
        """
        part = self.get(name)

        def rank(results):
            judged = not results.path.stem.endswith(MOVING)
            whole = results.complete and (
                len(results.manifest["seeds"]) >= part.seeds
                and set(part.all_arms()) <= set(results.arm_names)
            )
            epochs = results.manifest["config"]["epochs"]
            return epochs, whole and judged, not judged

        found = [
            read_record(path)
            for end in ("", "-*-epochs", f"-*-epochs{MOVING}", MOVING)
            for path in (self.folder / "results").glob(f"{name}{end}.jsonl")
        ]
        return sorted(found, key=rank, reverse=True)

    def results(self, name):
        """The first of the `records`, or `None` where nothing was run."""
        return next(iter(self.records(name)), None)

    def recorded(self, comparisons):
        """Pairs of a comparison and its results, of those that were run."""
        found = [(one, self.results(one.name)) for one in comparisons]
        return [pair for pair in found if pair[1] is not None]

    def measured(self, name):
        """What a measurement has written, or `None`."""
        path = self.measurement_path(name)
        return read_json(path) if path.is_file() else None

    def run(
        self,
        name,
        arms=None,
        seeds=None,
        first_seed=None,
        epochs=None,
        samples=None,
        data_dir=None,
        dataset=None,
        fresh=False,
        progress=True,
    ):
        """Runs what the record of a comparison lacks; returns the `Results`.

        Each run that ends is recorded. A trial with few `samples` is not: it
        stays in the working folder.
        """
        part = self.get(name)
        known = part.all_arms()
        chosen = [known.get(arm, arm) for arm in arms or known]
        stem = part.stem(epochs)
        record = self.record_path(stem)
        work = WORK / self.name / stem
        if samples is not None:
            work = work.with_name(f"{stem}-{samples}-samples")
            record = work / record.name
        if fresh:
            shutil.rmtree(work, ignore_errors=True)
            record.unlink(missing_ok=True)
        seeds = part.seeds if seeds is None else seeds
        first = part.first_seed if first_seed is None else first_seed
        workload = part.workload(epochs, data_dir, dataset, samples)
        results = read_record(record) if record.is_file() else None
        ended = {(run.arm, run.seed) for run in results.runs} if results else ()
        for seed in range(first, first + seeds):
            for arm in chosen:
                if (getattr(arm, "name", arm), seed) in ended:
                    continue
                ran = compare(
                    workload,
                    arms=[arm],
                    seeds=1,
                    first_seed=seed,
                    out=work,
                    holdout=part.holdout,
                    progress=progress,
                    report=False,
                )
                results = merged(results, ran, record)
                write_record(record, results)
        return results


# Records of before arms were judged with re-estimated statistics: nothing is
# added to them.
MOVING = "-moving"

FORMAT = 1
# Of the manifest, what no reader of a record needs.
DROPPED = ("argv", "platform", "virtual_devices")
# Of an arm, what only says what the numbers say.
WORDS = ("title", "notes", "group", "control", "changes")
FIELDS = ("epoch", "updates", "time", "elapsed", "learning_rate")


def write_record(path, results):
    """Writes provenance and runs in one piece, a line each."""
    manifest = {k: v for k, v in results.manifest.items() if k not in DROPPED}
    workload = {k: v for k, v in manifest["workload"].items() if k != "layers"}
    first = {"format": FORMAT, **manifest, "workload": workload}
    lines = [first, *map(packed, results.runs)]
    write_file(path, "".join(json.dumps(line) + "\n" for line in lines))


def packed(run):
    """An ended run as a line of a record, its epochs as columns."""
    rows = [
        {**{f: getattr(e, f) for f in FIELDS}, **e.logs} for e in run.epochs
    ]
    names = dict.fromkeys(name for row in rows for name in row)
    words = {k: getattr(run, k) for k in ("arm", "seed", "status", "reason")}
    columns = {n: [rounded(row.get(n)) for row in rows] for n in names}
    return {**words, "columns": columns}


def rounded(number):
    """As many digits as a float32 has; `None` where there is no number."""
    if not isinstance(number, float):
        return number
    return float(f"{number:.9g}") if math.isfinite(number) else None


def read_record(path):
    """The `Results` that a record holds."""
    try:
        first, *lines = map(json.loads, path.read_text("utf-8").splitlines())
        sizes = {arm["name"]: arm["batch_size"] for arm in first["arms"]}
        runs = [unpacked(line, first["workload"], sizes) for line in lines]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"Cannot read {path}: it is no record of a comparison "
            f"({type(error).__name__}: {error}). Nothing was changed. Restore "
            "the file, or move it away."
        ) from error
    return Results(path, first, in_order(runs, sizes))


def in_order(runs, arms):
    """Runs in the order of the arms' names, then of the seeds."""
    place = {name: number for number, name in enumerate(arms)}
    return tuple(sorted(runs, key=lambda run: (place[run.arm], run.seed)))


def unpacked(line, workload, sizes):
    """A line of a record as a `RunResult`."""
    arm, seed, columns = line["arm"], line["seed"], line["columns"]
    epochs = []
    for values in zip(*columns.values(), strict=True):
        values = [math.nan if value is None else value for value in values]
        logs = dict(zip(columns, values, strict=True))
        fields = {name: logs.pop(name) for name in FIELDS}
        epochs.append(
            EpochRecord(
                arm,
                seed,
                samples=fields["updates"] * sizes[arm],
                objective=logs.get(workload["objective"], math.nan),
                logs=logs,
                **fields,
            )
        )
    maximize = workload["direction"] == "max"
    status, reason = line["status"], line["reason"]
    return RunResult(
        arm, seed, status, reason, tuple(epochs), maximize=maximize
    )


def judged_by(results, objective):
    """The same runs judged by another of the numbers that they recorded."""
    workload = {**results.manifest["workload"], "objective": objective}

    def judged(epoch):
        number = epoch.logs.get(objective, math.nan)
        return dataclasses.replace(epoch, objective=number)

    return dataclasses.replace(
        results,
        manifest={**results.manifest, "workload": workload},
        runs=tuple(
            dataclasses.replace(run, epochs=tuple(map(judged, run.epochs)))
            for run in results.runs
        ),
    )


def merged(old, new, path):
    """A record with the runs of a working folder of the same experiment."""
    new = dataclasses.replace(new, runs=tuple(filter(has_ended, new.runs)))
    if old is None:
        return new
    different = [
        name
        for name, value in settings(old.manifest).items()
        if settings(new.manifest).get(name, value) != value
    ]
    if different:
        raise ValueError(
            f"{path} holds results of another experiment, which differs in "
            f"{', '.join(different)}. Move it away, or start afresh, which "
            "deletes it."
        )
    arms = {arm["name"]: arm for arm in (*old.arms, *new.arms)}
    manifest = {
        **old.manifest,
        "arms": list(arms.values()),
        "seeds": sorted({*old.manifest["seeds"], *new.manifest["seeds"]}),
    }
    runs = {(run.arm, run.seed): run for run in (*old.runs, *new.runs)}
    return Results(path, manifest, in_order(runs.values(), arms))


def has_ended(run):
    """Whether it is a result: a crash is not, it is tried again."""
    failed = run.status == "failed" and not run.summary.get("retry")
    return run.status == "finished" or failed


def settings(manifest):
    """What two runs have to share to stand in one record."""
    found = {**manifest["workload"], **manifest["config"]}
    for arm in manifest["arms"]:
        found |= {f"{arm['name']}.{name}": v for name, v in arm.items()}
    found = {k: v for k, v in found.items() if k.split(".")[-1] not in WORDS}
    return json.loads(json.dumps(found))
