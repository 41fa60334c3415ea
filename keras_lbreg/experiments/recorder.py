"""The callback that writes down a run."""

import math
import time

import keras

from keras_lbreg.experiments.events import EpochEnded
from keras_lbreg.experiments.journal import append_to_journal
from keras_lbreg.experiments.results import EpochRecord

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
    One epoch of `fit` here is `plan.record_every` epochs of the regime.

    Args:
        plan: The `Plan`.
        seed: Seed of the run.
        journal: Path of `epochs.jsonl`.
        checkpoint: The `Checkpoint`.
        distance: The run's `WeightDistance`.
        records: `EpochRecord`s of earlier sessions.
        on_event: Called with `EpochEnded` events.
        log: Optional object with a `write(record)` method.

    Example:

    >>> model.fit(batches, callbacks=[distance, rate, recorder])

    Reference: `keras_lbreg.experiments.results.EpochRecord`.
    """

    def __init__(
        self,
        plan,
        seed,
        journal,
        checkpoint,
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
        self.distance = distance
        self.records = list(records)
        self.on_event = on_event
        self.log = log
        self.failure = None
        self._wall_time = records[-1].wall_time if records else 0.0
        self._started = None

    def on_epoch_begin(self, epoch, logs=None):
        self._started = time.perf_counter()

    def on_test_begin(self, logs=None):
        if self._started is None:
            # Another callback evaluates.
            return
        # JAX hands out results before they are there: reading one waits.
        keras.ops.convert_to_numpy(self.model.optimizer.iterations)
        self._wall_time += time.perf_counter() - self._started
        self._started = None

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
            wall_time=self._wall_time,
            **{name: logs.pop(name, math.nan) for name in OWN_COLUMNS},
            extras=logs,
        )
        self.records.append(record)
        append_to_journal(self.journal, record.to_json())
        if self.log is not None:
            self.log.write(record)
        if not math.isfinite(record.loss):
            self.failure = f"the loss became {record.loss} in epoch {done}"
            self.model.stop_training = True
        elif done < self.plan.epochs and self.checkpoint.due():
            self.checkpoint.save(
                self.model,
                {"epoch": done, "wall_time": self._wall_time},
                self.distance.get_state(),
            )
        self.on_event(
            EpochEnded(
                record,
                self.plan.epochs,
                self.plan.updates,
                max(r.val_accuracy for r in self.records),
            )
        )
