"""The callback that writes down a run."""

import math

import keras

from keras_lbreg.callbacks.multi_worker_backup import training_state
from keras_lbreg.experiments.events import EpochEnded
from keras_lbreg.experiments.journal import append_to_journal
from keras_lbreg.experiments.results import EpochRecord, best_accuracy

OWN_COLUMNS = (
    "learning_rate",
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "weight_distance",
)


class Recorder(keras.callbacks.Callback):
    """Writes a line for every recorded epoch and saves the run.

    Stands last among the callbacks: it records what the others have logged.
    One epoch of `fit` here is `plan.record_every` epochs of the regime. Of
    several workers, the chief alone writes.

    Args:
        plan: The `Plan`.
        seed: Seed of the run.
        journal: Path of `epochs.jsonl`.
        checkpoint: The `Checkpoint`.
        stopwatch: The run's `Stopwatch`.
        distance: The run's `WeightDistance`.
        records: `EpochRecord`s of earlier sessions.
        on_event: Called with `EpochEnded` events.
        log: Optional object with a `write(record)` method.

    Example:

    >>> model.fit(batches, callbacks=[stopwatch, distance, recorder])

    Reference: `keras_lbreg.experiments.results.EpochRecord`.
    """

    def __init__(
        self,
        plan,
        seed,
        journal,
        checkpoint,
        stopwatch,
        distance,
        records,
        on_event,
        log=None,
    ):
        super().__init__()
        self.plan = plan
        self.seed = seed
        self.journal = journal
        self.checkpoint = checkpoint
        self.stopwatch = stopwatch
        self.distance = distance
        self.records = list(records)
        self.on_event = on_event
        self.log = log
        self.failure = None

    def on_epoch_end(self, epoch, logs=None):
        logs = {name: float(value) for name, value in logs.items()}
        done = (epoch + 1) * self.plan.record_every
        updates = done * self.plan.steps_per_epoch
        record = EpochRecord(
            arm=self.plan.arm.name,
            seed=self.seed,
            epoch=done,
            updates=updates,
            samples=updates * self.plan.batch_size,
            wall_time=self.stopwatch.seconds,
            **{name: logs.pop(name, math.nan) for name in OWN_COLUMNS},
            extras=logs,
        )
        self.records.append(record)
        on_chief = self.plan.placement.on_chief
        due = on_chief(lambda: self._write_down(record))
        if self.log is not None:
            self.log.write(record)
        if not math.isfinite(record.loss):
            self.failure = f"the loss became {record.loss} in epoch {done}"
            self.model.stop_training = True
        elif self._goes_on(done, due):
            # All workers read, which may communicate; the chief writes.
            state = training_state(self.model)
            distance = self.distance.get_state()
            on_chief(lambda: self.checkpoint.save(state, done, distance))
        self.on_event(
            EpochEnded(
                record,
                self.plan.last_epoch,
                self.plan.last_epoch * self.plan.steps_per_epoch,
                best_accuracy(self.records),
            )
        )

    def _goes_on(self, done, due):
        """Return whether a checkpoint is needed: a run here, or elsewhere."""
        if done < self.plan.last_epoch:
            return due
        return self.plan.last_epoch < self.plan.epochs

    def _write_down(self, record):
        """Return whether a checkpoint should follow."""
        append_to_journal(self.journal, record.to_json())
        return self.checkpoint.due()
