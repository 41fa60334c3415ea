"""Run every arm with every seed, and record the results."""

import contextlib
import datetime
import json
import pathlib
import sys

from keras_lbreg.checks import (
    check_non_negative_int,
    check_positive_int,
    invalid,
)
from keras_lbreg.comparison.arms import SCALING, choose_arms
from keras_lbreg.comparison.results import (
    ENDED,
    SCHEMA,
    check_same,
    open_folder,
    read_results,
)
from keras_lbreg.techniques import check_hyperparameters
from keras_lbreg.training.display import Display
from keras_lbreg.training.environment import environment
from keras_lbreg.training.examine import examine
from keras_lbreg.training.placement import choose_strategy
from keras_lbreg.training.run import Run
from keras_lbreg.workloads import Workload, get_workload


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
    comparison = Comparison(
        workload,
        batch_size,
        arms,
        range(first_seed, first_seed + seeds),
        hyperparameters,
        strategy,
        devices,
        holdout,
    )
    path = pathlib.Path(out or f"runs/{comparison.workload.name}")
    with comparison.opened("compare", path, fresh):
        comparison.train(path, progress)
        results = comparison.placement.on_chief(lambda: read_results(path))
        if report and comparison.placement.is_chief:
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
    comparison = Comparison(
        workload, batch_size, [arm], [seed], hyperparameters, strategy, devices
    )
    path = pathlib.Path(out or f"runs/train-{comparison.workload.name}")
    with comparison.opened("train", path, fresh):
        [result] = comparison.train(path, progress, model_path)
    return result


class Comparison:
    """The runs of a command, all checked before anything is trained."""

    def __init__(
        self,
        workload,
        batch_size,
        arms,
        seeds,
        hyperparameters,
        strategy,
        devices,
        holdout=0.0,
    ):
        # First: TensorFlow sets up a cluster only where it has done nothing.
        self.placement = choose_strategy(strategy, devices)
        if not isinstance(workload, Workload):
            workload = get_workload(workload)
        if holdout:
            workload = workload.held_out(holdout)
        self.workload, self.facts = workload, examine(workload)
        self.batch_size = batch_size or workload.batch_size
        self.seeds = list(seeds)
        self.holdout = holdout
        self.settings = dict(hyperparameters or {})
        check_hyperparameters(self.settings)
        self.arms, self.left_out = choose_arms(
            workload, self.facts, self.batch_size, arms
        )
        shared = (self.batch_size, self.placement, self.settings, {})
        self.runs = [
            Run(workload, arm, seed, *shared)
            for seed in self.seeds
            for arm in self.arms
        ]
        self.plans = [run.plan for run in self.runs[: len(self.arms)]]

    @contextlib.contextmanager
    def opened(self, command, path, fresh):
        """Within it, the folder is this command's; the chief alone writes."""
        new = json.loads(json.dumps(self._manifest(command)))
        with contextlib.ExitStack() as stack:
            folder = open_folder(path, new, fresh)
            manifest = self.placement.on_chief(
                lambda: stack.enter_context(folder)
            )
            if not self.placement.is_chief:
                check_same(
                    manifest,
                    new,
                    f"Worker {self.placement.worker} was not started like the "
                    "chief, worker 0 ({}). Expected the same command, data "
                    "and versions everywhere.",
                )
            yield

    def train(self, path, progress, model_path=None):
        """The `RunResult`s of every arm with every seed."""
        display = progress
        if not isinstance(progress, Display):
            display = Display(quiet=not progress)
        if not self.placement.is_chief:
            display.quiet = True
        before = self.placement.on_chief(lambda: read_results(path).runs)
        ended = {(r.arm, r.seed) for r in before if r.status in ENDED}
        pending = [
            run for run in self.runs if (run.arm.name, run.seed) not in ended
        ]
        with display:
            for line in self.plan_lines():
                display.say(line)
            total, done = len(self.runs), len(self.runs) - len(pending)
            if total > 1:
                done = f", {done} done before" if done else ""
                display.say(f"{total} runs{done}. Results: {path}")
            display.begin(self.runs, pending)
            return [run.train(path, display, model_path) for run in self.runs]

    def plan_lines(self):
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

    def _manifest(self, command):
        now = datetime.datetime.now(datetime.UTC)
        # The words of the `lbreg` command that runs.
        program = pathlib.Path(sys.argv[0]).name
        argv = ["lbreg", *sys.argv[1:]] if program == "lbreg" else None
        return {
            "schema": SCHEMA,
            "command": command,
            "name": self.workload.name,
            "argv": argv,
            "created": now.isoformat(timespec="seconds"),
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


def check_model_path(path):
    """Raises before the training where a model could not be written."""
    if path.suffix != ".keras":
        raise invalid("model_path", "the name of a .keras file", str(path))
    if path.is_dir():
        raise IsADirectoryError(21, "Is a directory", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
