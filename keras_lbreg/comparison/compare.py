"""Run every arm with every seed, and record the results."""

import contextlib
import dataclasses
import datetime
import itertools
import json
import pathlib
import shutil
import sys

from keras_lbreg.checks import check_non_negative_int, check_positive_int
from keras_lbreg.comparison.arms import SCALING, arm_names, choose_arms
from keras_lbreg.comparison.results import (
    MANIFEST,
    SCHEMA,
    Results,
    read_manifest,
    read_results,
)
from keras_lbreg.files import lock, write_json
from keras_lbreg.techniques import check_hyperparameters
from keras_lbreg.training.display import Display
from keras_lbreg.training.environment import environment
from keras_lbreg.training.examine import examine
from keras_lbreg.training.placement import choose_strategy
from keras_lbreg.training.records import RunResult, read_run, run_folder
from keras_lbreg.training.run import Run
from keras_lbreg.workloads import Workload, get_workload

# What a file's name, or a text that says what the numbers say, may change.
WORDS = ("name", "title", "notes", "source", "changes", "group", "control")


def compare(
    workload,
    batch_size=None,
    arms=None,
    seeds=3,
    first_seed=0,
    hyperparameters=None,
    out=None,
    strategy="one",
    devices=None,
    holdout=0.0,
    fresh=False,
    progress=True,
    report=True,
):
    """Trains a workload in several ways, each with several seeds.

    The small batch, the large batch, and the large batch with each technique,
    beside controls. Each is judged by the plain network with its normalization
    statistics estimated anew, see `keras_lbreg.reestimate_batch_norm`.

    Called again after an interruption it goes on where it stopped: ended runs
    are left alone, a half run goes on from its last epoch and comes to the
    same numbers. Arms and seeds can be added to a folder later. A run that
    fails is recorded as failed and the others go on.

    Args:
        workload: A `keras_lbreg.Workload`, or what
            `keras_lbreg.workloads.get_workload` takes.
        batch_size: The large batch size. Defaults to the workload's.
        arms: Names of arms (`keras_lbreg.comparison.arm_names()`) and
            `keras_lbreg.Arm`s of your own. Defaults to all standard arms that
            fit the workload.
        seeds: Number of seeds. Defaults to `3`.
        first_seed: The first of them. Defaults to `0`.
        hyperparameters: Optional settings of techniques by technique name.
        out: Folder of the results. Defaults to `runs/<workload>`.
        strategy: `"one"`, `"mirrored"`, `"multi-worker"`,
            `"jax-data-parallel"` or `"auto"`. Batch sizes are those of all
            devices together.
        devices: Number of devices. Defaults to all.
        holdout: Share of the training data that is set apart and validated on
            in place of the validation data. Defaults to `0.0`.
        fresh: Whether to delete earlier results of the folder first.
        progress: Whether to show what goes on.
        report: Whether to write the report with its plots.

    Returns:
        A `keras_lbreg.comparison.Results`; print it for the table.

    Raises:
        ValueError: Something does not fit together; nothing was trained.

    Example:

    >>> results = keras_lbreg.compare(workload, batch_size=64, seeds=1)
    >>> print(results)
    >>> results.report_path

    Reference: Hoffer et al. 2017, https://arxiv.org/abs/1705.08741
    """
    check_positive_int("seeds", seeds)
    check_non_negative_int("first_seed", first_seed)
    seeds = list(range(first_seed, first_seed + seeds))
    options = (hyperparameters, out, strategy, devices, holdout, fresh)
    folder = Folder("compare", workload, batch_size, arms, seeds, *options)
    with folder:
        folder.train(progress)
        results = folder.results()
        if report and folder.placement.is_chief:
            from keras_lbreg.comparison.report import write_report

            write_report(results)
    return results


def train(
    workload,
    arm=SCALING,
    batch_size=None,
    seed=0,
    hyperparameters=None,
    out=None,
    model_path=None,
    strategy="one",
    devices=None,
    fresh=False,
    progress=True,
):
    """Trains one arm with one seed; the network that comes out is plain Keras.

    Args:
        workload: As in `keras_lbreg.compare`.
        arm: Name of an arm, or an `Arm`.
        batch_size: The large batch size. Defaults to the workload's.
        seed: Seed of the run.
        hyperparameters: Optional settings of techniques by technique name.
        out: Folder of the records. Defaults to `runs/train-<workload>`.
        model_path: Optional `.keras` file for the trained model.
        strategy: As in `keras_lbreg.compare`.
        devices: Number of devices. Defaults to all.
        fresh: Whether to delete earlier results of the folder first.
        progress: Whether to show what goes on.

    Returns:
        A `RunResult`: `final`, `best`, `epochs`, and the reason where it
        failed.

    Raises:
        ValueError: Something does not fit together; nothing was trained.
        OSError: The model cannot be written.

    Example:

    >>> from keras_lbreg.comparison import train
    >>> train("digits", "lr_gbn", model_path="digits.keras").final
    """
    check_non_negative_int("seed", seed)
    if model_path is not None:
        model_path = pathlib.Path(model_path)
        check_model_path(model_path)
    options = (hyperparameters, out, strategy, devices, 0.0, fresh)
    with Folder(
        "train", workload, batch_size, [arm], [seed], *options
    ) as folder:
        [result] = folder.train(progress, model_path)
    return result


@dataclasses.dataclass(eq=False)
class Folder:
    """The results folder of one command and one experiment, open to write.

    Of several workers, only the chief touches it.
    """

    command: str
    workload: object
    batch_size: int | None
    arms: object
    seeds: list
    hyperparameters: dict | None
    out: object
    strategy: str
    devices: int | None
    holdout: float
    fresh: bool

    def __post_init__(self):
        # First: TensorFlow sets up a cluster only where it has done nothing.
        self.placement = choose_strategy(self.strategy, self.devices)
        workload = self.workload
        if not isinstance(workload, Workload):
            workload = get_workload(workload)
        prefix = "" if self.command == "compare" else f"{self.command}-"
        self.path = pathlib.Path(self.out or f"runs/{prefix}{workload.name}")
        if self.holdout:
            workload = workload.held_out(self.holdout)
        self.workload, self.facts = workload, examine(workload)
        self.batch_size = self.batch_size or workload.batch_size
        self.settings = dict(self.hyperparameters or {})
        check_hyperparameters(self.settings)
        self.arms, self.left_out = choose_arms(
            workload, self.facts, self.batch_size, self.arms
        )
        self.programs = {}
        self._held = contextlib.ExitStack()
        # Every arm's plan is made before anything is trained.
        self.plans = [self.run(arm, self.seeds[0]).plan for arm in self.arms]

    def run(self, arm, seed):
        """The `Run` of an arm and a seed."""
        return Run(
            self.workload,
            arm,
            seed,
            self.batch_size,
            self.placement,
            self.settings,
            self.programs,
        )

    def train(self, progress, model_path=None):
        """The `RunResult`s of every arm with every seed."""
        display = progress
        if not isinstance(progress, Display):
            display = Display(quiet=not progress)
        runs = [self.run(arm, seed) for seed in self.seeds for arm in self.arms]
        with display:
            ended = self.placement.on_chief(
                lambda: list(map(self._ended, runs))
            )
            pending = [run for run, e in zip(runs, ended, strict=True) if not e]
            if not self.placement.is_chief:
                display.quiet = True
            for line in self.plan_lines(len(runs), len(pending)):
                display.say(line)
            if self.command == "compare":
                display.begin(runs, pending)
            return [run.train(self.path, display, model_path) for run in runs]

    def _ended(self, run):
        result = read_run(self.path, run.arm.name, run.seed)
        return result is not None and result.status in ("finished", "failed")

    def results(self):
        """The `Results`, on every worker."""

        def read():
            results = read_results(self.path)
            return results.manifest, [run.to_json() for run in results.runs]

        manifest, runs = self.placement.on_chief(read)
        runs = tuple(map(RunResult.from_json, runs))
        return Results(self.path, manifest, runs)

    def __enter__(self):
        new = json.loads(json.dumps(self._new_manifest()))
        manifest = self.placement.on_chief(lambda: self._open(new))
        if not self.placement.is_chief:
            check_same(
                manifest,
                new,
                f"Worker {self.placement.worker} was not started like the "
                "chief, worker 0 ({}). Expected the same command, data and "
                "versions everywhere.",
            )
        return self

    def __exit__(self, *exception):
        self._held.close()

    def _open(self, new):
        """Locks the folder and writes the manifest, which is returned."""
        there = self.path / MANIFEST
        with contextlib.ExitStack() as stack:
            stack.enter_context(lock(self.path))
            if there.is_file():
                new = self._merged(read_manifest(self.path), new)
            elif (self.path / "runs").exists():
                raise ValueError(
                    f"The folder {self.path} holds runs, but no {MANIFEST} "
                    "that says which experiment wrote them. Expected an empty "
                    "folder, or one of this experiment. Nothing was changed: "
                    "move it away, or write to another folder."
                )
            write_json(there, new)
            # Nothing went wrong: the lock is held until `__exit__`.
            self._held = stack.pop_all()
        return new

    def _merged(self, old, new):
        if old["command"] != new["command"]:
            raise ValueError(
                f"The folder {self.path} belongs to `{old['command']}`, and "
                f"this is `{new['command']}`. Write to another folder."
            )
        if self.fresh:
            for arm, seed in itertools.product(old["arms"], old["seeds"]):
                folder = run_folder(self.path, arm["name"], seed)
                shutil.rmtree(folder, ignore_errors=True)
            return new
        check_same(
            old,
            new,
            f"The folder {self.path} holds results of another experiment "
            "({}). Expected the same, with more arms or seeds at most. Write "
            "to another folder, or start afresh, which deletes the results "
            "there.",
        )
        arms = {arm["name"]: arm for arm in old["arms"] + new["arms"]}
        order = dict.fromkeys([*arm_names(), *arms])
        return {
            **old,
            "arms": [arms[name] for name in order if name in arms],
            "seeds": sorted({*old["seeds"], *new["seeds"]}),
        }

    def _new_manifest(self):
        return {
            "schema": SCHEMA,
            "command": self.command,
            "name": self.workload.name,
            "argv": command_line(),
            "created": datetime.datetime.now(datetime.UTC).isoformat(
                timespec="seconds"
            ),
            **environment(),
            "workload": self.facts.describe(self.workload),
            "config": {
                "small_batch_size": self.workload.regime.base_batch_size,
                "batch_size": self.batch_size,
                "epochs": self.workload.regime.epochs,
                "hyperparameters": self.settings,
                "strategy": self.placement.strategy,
                "devices": self.placement.devices,
                "holdout": self.holdout,
            },
            "arms": [plan.describe() for plan in self.plans],
            "seeds": self.seeds,
        }

    def plan_lines(self, total, pending):
        """What will be done, as lines of text."""
        facts, regime = self.facts, self.workload.regime
        yield (
            f"{self.workload.title}: {facts.train.samples:,} training and "
            f"{facts.validation.samples:,} validation samples, "
            f"{facts.model.count_params():,} parameters, judged by "
            f"{facts.objective}"
        )
        yield (
            f"Small batch {regime.base_batch_size}, {regime.epochs} epochs, "
            f"learning rate {regime.rate_text} (the regime's); large batch "
            f"{self.batch_size}"
        )
        if self.placement.strategy != "one":
            yield self.placement.describe()
            for plan in self.plans:
                yield f"{plan.arm.title}: {plan.batch_layout()}"
        if getattr(facts.train, "make", facts) is None:
            yield (
                "The training order is the dataset's own, whatever the seed: "
                "only with a function that makes the dataset is a run "
                "reproducible"
            )
        yield from self.left_out
        for plan in self.plans:
            changes = "; ".join(plan.changes()) or "as the workload says"
            yield f"  {plan.arm.title}: {changes}"
        if total > 1:
            done = f", {total - pending} done before" if pending < total else ""
            yield f"{total} runs{done}. Results: {self.path}"


def command_line():
    """The words of the `lbreg` command that runs, or `None`."""
    name = pathlib.Path(sys.argv[0]).name
    return ["lbreg", *sys.argv[1:]] if name == "lbreg" else None


def check_same(old, new, message):
    """Raises `message` where two manifests cannot stand side by side."""
    pairs = [(key, old[key], new[key]) for key in ("backend", "command")]
    for part in ("workload", "config"):
        pairs += [(k, old[part].get(k), v) for k, v in new[part].items()]
    before = {arm["name"]: arm for arm in old["arms"]}
    for arm in new["arms"]:
        was = before.get(arm["name"], arm)
        pairs += [(f"{arm['name']}.{k}", was.get(k), arm[k]) for k in arm]
    differences = [
        f"{key}: {a!r} there, {b!r} now"
        for key, a, b in pairs
        if a != b and key.rpartition(".")[2] not in WORDS
    ]
    if differences:
        raise ValueError(message.format("; ".join(differences)[:600]))


def check_model_path(path):
    """Raises before the training where a model could not be written."""
    if path.suffix != ".keras":
        raise ValueError(
            "Invalid value for argument `model_path`. Expected the name of a "
            f".keras file. Received: model_path={str(path)!r}"
        )
    if path.is_dir():
        raise IsADirectoryError(21, "Is a directory", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
