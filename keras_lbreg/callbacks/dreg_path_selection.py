"""Choosing the path of a DReg model that does better on validation data."""

import collections.abc
import math

import keras

from keras_lbreg.checks import check_choice
from keras_lbreg.metric_direction import direction_of
from keras_lbreg.models.dreg_model import (
    dreg_distances,
    get_active_path,
    set_active_path,
)


class DRegPathSelection(keras.callbacks.Callback):
    """Keeps the path of a DReg model active that validates better.

    Once an epoch, `model.evaluate` runs on the validation data for each path.
    The loss and all metrics are logged for both (`val_accuracy_right`,
    `val_accuracy_left`, `val_loss_right`, ...), and

    ```
    active path = argmax_{p ∈ {right, left}} monitor_p
    ```

    is used from then on by `evaluate`, `predict`, `save` and `strip_dreg`; at
    a tie, the active path stays.

    The choice falls before `fit` runs its own validation, so that the epoch's
    `val_accuracy` is that of the chosen path. Without `validation_data` in
    `fit` this callback logs the chosen path's `val_...` itself, which saves a
    third evaluation. List it before callbacks that read these logs. What is
    chosen by validation data looks a little better on them than on new ones:
    report the test accuracy.

    It works for any model with DReg layers in it, a subclassed one too, and
    logs ‖W_R − W_L‖_F of each of them as `dreg_distance/<layer name>`.

    Args:
        validation_data: `(x, y)` or `(x, y, sample_weight)` of arrays, a list
            of batches of these, or anything else that `evaluate` can read
            twice: a `keras.utils.PyDataset`, a `tf.data.Dataset`.
        monitor: Optional name of the metric that decides, as in `evaluate`.
            By default, `"accuracy"` if the model has it, else `"loss"`.
        mode: `"min"`, `"max"` or `"auto"` (the default): `"min"` for losses
            and errors, which it knows by parts of names, else `"max"`.
        batch_size: Batch size where `validation_data` are arrays.
        frequency: Positive integer, the number of epochs from one choice to
            the next where `fit` does not validate. Defaults to `1`.

    Raises:
        ValueError: An argument is out of its range, `validation_data` are a
            generator or empty, or the model has no DReg layer.

    Example:

    >>> model.fit(
    ...     x, y, epochs=10, validation_data=(x_val, y_val),
    ...     callbacks=[keras_lbreg.DRegPathSelection((x_val, y_val))],
    ... )

    Reference:

    - [Yuan et al., 2020](https://arxiv.org/abs/2011.08968)
    """

    def __init__(
        self,
        validation_data,
        monitor=None,
        mode="auto",
        batch_size=256,
        frequency=1,
    ):
        super().__init__()
        check_choice("mode", mode, ("auto", "min", "max"))
        if isinstance(validation_data, collections.abc.Iterator):
            raise ValueError(
                "Invalid value for argument `validation_data`. Expected data "
                "that can be read in every epoch; a generator can be read "
                "once: pass a list of its batches. Received: "
                f"validation_data of type {type(validation_data)}"
            )
        self.validation_data = validation_data
        self.monitor = monitor
        self.mode = mode
        self.batch_size = batch_size
        self.frequency = frequency
        self._results = None
        self._in_epoch = False

    def on_train_begin(self, logs=None):
        get_active_path(self.model)  # Raises where there is none.

    def on_epoch_begin(self, epoch, logs=None):
        self._in_epoch = True
        self._results = None

    def on_test_begin(self, logs=None):
        if self._in_epoch:
            self._select()

    def on_epoch_end(self, epoch, logs=None):
        if self._results is None and (epoch + 1) % self.frequency == 0:
            self._select()
        self._in_epoch = False
        if logs is None or self._results is None:
            return
        logs.update(dreg_distances(self.model))
        for path, results in self._results.items():
            for name, value in results.items():
                logs[f"val_{name}_{path}"] = value
        for name, value in self._results[get_active_path(self.model)].items():
            logs.setdefault(f"val_{name}", value)

    def _select(self):
        model, arguments, results = self.model, self._arguments(), {}
        active = get_active_path(model)
        other = "left" if active == "right" else "right"
        try:
            for path in ("right", "left"):
                set_active_path(model, path)
                logs = model.evaluate(**arguments, verbose=0, return_dict=True)
                results[path] = {k: float(v) for k, v in logs.items()}
        finally:
            set_active_path(model, active)
        self._results = results
        monitor = self._monitor()
        now, new = (self._results[path][monitor] for path in (active, other))
        is_better = new < now if self._lower_is_better(monitor) else new > now
        if is_better or (math.isnan(now) and not math.isnan(new)):
            set_active_path(model, other)

    def _arguments(self):
        """The validation data as arguments of `evaluate`."""
        data = self.validation_data
        if isinstance(data, list) and all(isinstance(x, tuple) for x in data):
            _check_not_empty(data, data)
            return {"x": _Batches(data)}
        if not isinstance(data, (tuple, list)):
            return {"x": data}
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(
            tuple(data) or (None,)
        )
        arrays = keras.tree.flatten(x)
        _check_not_empty([] if x is None else arrays[0], data)
        return {
            "x": x,
            "y": y,
            "sample_weight": sample_weight,
            "batch_size": self.batch_size,
        }

    def _monitor(self):
        names = list(self._results["right"])
        if self.monitor is None:
            return "accuracy" if "accuracy" in names else "loss"
        check_choice("monitor", self.monitor, names)
        return self.monitor

    def _lower_is_better(self, monitor):
        if self.mode != "auto":
            return self.mode == "min"
        return direction_of(self.model, monitor) == "min"


class _Batches(keras.utils.PyDataset):
    """A list of batches as data that `evaluate` reads."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


def _check_not_empty(samples, data):
    if len(samples) == 0:
        raise ValueError(
            "Invalid value for argument `validation_data`. Expected at least "
            f"one batch. Received: empty validation_data of type {type(data)}"
        )
