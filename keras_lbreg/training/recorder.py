"""The callbacks that measure a run and write it down."""

import math
import time

import keras

from keras_lbreg.files import append_line
from keras_lbreg.training.records import EpochRecord


class Stopwatch(keras.callbacks.Callback):
    """Seconds of training, without compilation, validation and recording.

    First among the callbacks: what others do at the end of an epoch does not
    count. `elapsed` counts everything since the clock's time `begun`.
    """

    def __init__(self, records, begun):
        super().__init__()
        self.seconds = records[-1].time if records else 0.0
        self._before = records[-1].elapsed if records else 0.0
        self._begun = begun
        self._started = None

    @property
    def elapsed(self):
        return self._before + time.perf_counter() - self._begun

    def on_epoch_begin(self, epoch, logs=None):
        # Where not every epoch is validated, it runs on.
        if self._started is None:
            self._started = time.perf_counter()

    def on_test_begin(self, logs=None):
        if self._started is None:
            # Another callback evaluates.
            return
        # JAX hands out results before they are there: reading one waits.
        keras.ops.convert_to_numpy(self.model.optimizer.iterations)
        self.seconds += time.perf_counter() - self._started
        self._started = None


class Recorder(keras.callbacks.Callback):
    """Writes a record for every epoch that counts.

    One epoch of `fit` here is `plan.record_every` epochs of the regime. Of
    several workers, the chief alone writes.
    """

    def __init__(
        self, run, journal, stopwatch, records, on_epoch=None, moving=True
    ):
        super().__init__()
        self.run = run
        self.journal = journal
        self.stopwatch = stopwatch
        self.records = list(records)
        self.on_epoch = on_epoch
        self.moving = moving

    def on_epoch_end(self, epoch, logs=None):
        run, plan = self.run, self.run.plan
        logs = {name: float(value) for name, value in logs.items()}
        if self.moving:
            logs.update(self._with_moving_statistics())
        done = (epoch + 1) * plan.record_every
        updates = done * plan.steps_per_epoch
        record = EpochRecord(
            arm=run.arm.name,
            seed=run.seed,
            epoch=done,
            updates=updates,
            samples=updates * plan.batch_size,
            time=self.stopwatch.seconds,
            elapsed=self.stopwatch.elapsed,
            learning_rate=logs.pop("learning_rate", math.nan),
            objective=logs.get(run.objective, math.nan),
            logs=logs,
        )
        self.records.append(record)
        if self.journal is not None and run.placement.is_chief:
            append_line(self.journal, record.to_json())
        if not math.isfinite(logs.get("loss", 0.0)):
            self.model.stop_training = True
        if self.on_epoch is not None and run.placement.is_chief:
            self.on_epoch(record)

    def _with_moving_statistics(self):
        """The validation results with the statistics that training moved."""
        placement = self.run.placement
        arguments = self.run.facts.validation.for_fit(placement)
        data = arguments.pop("validation_data")
        size = arguments.pop("validation_batch_size", None)
        x, y, weight = data, None, None
        if isinstance(data, tuple):
            x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        results = self.model.evaluate(
            x,
            y,
            sample_weight=weight,
            batch_size=size,
            verbose=0,
            return_dict=True,
        )
        return {f"moving_val_{k}": float(v) for k, v in results.items()}
