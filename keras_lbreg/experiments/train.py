"""The training of one run, from wherever it stopped."""

import dataclasses
import warnings

import keras

from keras_lbreg.callbacks.average_replicas import AverageReplicas
from keras_lbreg.callbacks.learning_rate_logger import LearningRateLogger
from keras_lbreg.callbacks.multi_worker_backup import set_training_state
from keras_lbreg.callbacks.weight_distance import WeightDistance
from keras_lbreg.experiments import build, validation
from keras_lbreg.experiments.checkpoint import Checkpoint
from keras_lbreg.experiments.events import RunStarted
from keras_lbreg.experiments.journal import rewrite_journal
from keras_lbreg.experiments.recorder import Recorder
from keras_lbreg.experiments.results import (
    EpochRecord,
    read_records,
    run_dir,
    tensorboard_dir,
)
from keras_lbreg.experiments.stopwatch import Stopwatch
from keras_lbreg.experiments.tensorboard_log import TensorBoardLog


@dataclasses.dataclass(frozen=True)
class Start:
    """Where a run begins or goes on.

    Args:
        checkpoint: The run's `Checkpoint`.
        epoch: Epochs already done.
        state: The saved training state, or `None` at the beginning.
        distance: The saved state of `WeightDistance`.
        records: The `EpochRecord`s so far.

    Example:

    >>> find_start("runs/digits/runs/lr/seed-0").epoch
    0

    Reference: `find_start`.
    """

    checkpoint: Checkpoint
    epoch: int = 0
    state: list | None = None
    distance: dict | None = None
    records: tuple = ()

    @classmethod
    def from_plain(cls, content):
        """The start of which `content` is the `to_plain`."""
        records = map(EpochRecord.from_json, content["records"])
        return cls(
            **{
                **content,
                "checkpoint": Checkpoint(content["checkpoint"]),
                "records": tuple(records),
            }
        )

    def to_plain(self):
        """The start as plain data and arrays."""
        return {
            **vars(self),
            "checkpoint": str(self.checkpoint.path),
            "records": [record.to_json() for record in self.records],
        }


def find_start(folder):
    """Find out how far a run has come, and forget what lies beyond.

    Records after the last checkpoint are dropped: their epochs are trained
    again, with the same outcome.

    Args:
        folder: The run's folder.

    Returns:
        A `Start`.

    Raises:
        ValueError: The journal or the checkpoint is damaged, or they do not
            belong together. Nothing is changed then.

    Example:

    >>> start = find_start("runs/digits/runs/lr/seed-0")

    Reference: `Checkpoint`.
    """
    journal = folder / "epochs.jsonl"
    checkpoint = Checkpoint(folder / "checkpoint.npz")
    saved = checkpoint.load()
    epoch, state, distance = saved or (0, None, None)
    records = tuple(
        record for record in read_records(journal) if record.epoch <= epoch
    )
    if epoch and (not records or records[-1].epoch != epoch):
        raise ValueError(
            f"Cannot resume: {journal} does not reach the checkpoint's epoch "
            f"{epoch}. Nothing was changed. Delete the run's folder to begin "
            "it anew, or start again with `--fresh`."
        )
    rewrite_journal(journal, [record.to_json() for record in records])
    return Start(checkpoint, epoch, state, distance, records)


def train(workspace, plan, seed, start, on_event):
    """Train from `start` to the plan's last epoch.

    Args:
        workspace: The `Workspace`.
        plan: The `Plan`.
        seed: Seed of the run.
        start: Where it begins, a `Start`.
        on_event: Called with each event.

    Returns:
        The pair `(model, reason)`: the trained model, and why the run failed
        or `None`.

    Example:

    >>> model, reason = train(workspace, plan, 0, find_start(folder), print)

    Reference: it is an ordinary `fit` with callbacks.
    """
    changes = tuple(plan.changes())
    on_event(
        RunStarted(plan.arm.name, seed, start.epoch, plan.last_epoch, changes)
    )
    with plan.placement.scope(), warnings.catch_warnings():
        if plan.placement.handle is not None:
            # Keras takes the number of per-replica batches of validation data
            # for the number of steps, and is surprised when there are fewer.
            warnings.filterwarnings("ignore", "Your input ran out of data")
        return fit(workspace, plan, seed, start, on_event)


def fit(workspace, plan, seed, start, on_event):
    """The part of `train` inside of the strategy's scope."""
    name = plan.arm.name
    dataset = workspace.dataset
    model = workspace.programs.prepare(plan, dataset, seed)
    if start.state:
        set_training_state(model, start.state)

    stopwatch = Stopwatch(start.records[-1].wall_time if start.records else 0.0)
    distance = WeightDistance()
    if start.distance:
        distance.set_state(start.distance)
    recorder = Recorder(
        plan,
        seed,
        run_dir(workspace.path, name, seed) / "epochs.jsonl",
        start.checkpoint,
        stopwatch,
        distance,
        start.records,
        on_event,
        make_log(workspace, name, seed),
    )
    model.fit(
        build.build_data(plan, dataset, seed, initial_epoch=start.epoch),
        steps_per_epoch=plan.record_every * plan.steps_per_epoch,
        initial_epoch=start.epoch // plan.record_every,
        epochs=plan.last_epoch // plan.record_every,
        **validation.for_fit(plan.placement, dataset.x_val, dataset.y_val),
        shuffle=False,
        verbose=0,
        callbacks=[
            stopwatch,
            AverageReplicas(),
            *build.build_callbacks(plan, dataset, seed),
            distance,
            LearningRateLogger(),
            recorder,
        ],
    )
    return model, recorder.failure


def make_log(workspace, arm, seed):
    """The run's `TensorBoardLog`, or `None` where there is none."""
    wanted = workspace.experiment.tensorboard and workspace.placement.is_chief
    if not wanted or keras.backend.backend() != "tensorflow":
        return None
    return TensorBoardLog(tensorboard_dir(workspace.path, arm, seed))


def finalize(model, plan):
    """The plain model, without what techniques added for training."""
    # The last change to the model is the first to be undone.
    for hook, _ in reversed(plan.hooks("finalize")):
        model = hook(model)
    return model
