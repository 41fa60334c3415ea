"""The training of one run, from wherever it stopped."""

import dataclasses

import keras

from keras_lbreg.callbacks.learning_rate_logger import LearningRateLogger
from keras_lbreg.callbacks.weight_distance import WeightDistance
from keras_lbreg.experiments import build
from keras_lbreg.experiments.checkpoint import (
    Checkpoint,
    set_training_state,
    training_state,
)
from keras_lbreg.experiments.events import RunStarted
from keras_lbreg.experiments.journal import rewrite_journal
from keras_lbreg.experiments.recorder import Recorder
from keras_lbreg.experiments.results import (
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
    """Train from `start` to the end.

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
    name = plan.arm.name
    dataset = workspace.dataset
    on_event(
        RunStarted(name, seed, start.epoch, plan.epochs, tuple(plan.changes()))
    )
    model = build.build_model(plan, dataset, seed)
    first_state = training_state(model)
    build.compile_ahead(model, plan, dataset, seed)
    set_training_state(model, start.state or first_state)

    stopwatch = Stopwatch(start.records[-1].wall_time if start.records else 0.0)
    distance = WeightDistance()
    if start.distance:
        distance.set_state(start.distance)
    log = None
    if workspace.experiment.tensorboard and (
        keras.backend.backend() == "tensorflow"
    ):
        log = TensorBoardLog(tensorboard_dir(workspace.path, name, seed))
    recorder = Recorder(
        plan,
        seed,
        run_dir(workspace.path, name, seed) / "epochs.jsonl",
        start.checkpoint,
        stopwatch,
        distance,
        start.records,
        on_event,
        log,
    )
    model.fit(
        build.build_data(plan, dataset, seed, initial_epoch=start.epoch),
        steps_per_epoch=plan.record_every * plan.steps_per_epoch,
        initial_epoch=start.epoch // plan.record_every,
        epochs=plan.epochs // plan.record_every,
        validation_data=(dataset.x_val, dataset.y_val),
        validation_batch_size=build.VALIDATION_BATCH_SIZE,
        shuffle=False,
        verbose=0,
        callbacks=[
            stopwatch,
            *build.build_callbacks(plan, dataset, seed),
            distance,
            LearningRateLogger(),
            recorder,
        ],
    )
    return model, recorder.failure


def finalize(model, plan):
    """The plain model, without what techniques added for training."""
    # The last change to the model is the first to be undone.
    for hook, _ in reversed(plan.hooks("finalize")):
        model = hook(model)
    return model
