"""Choosing the path of a DReg model that does better on validation data."""

import collections.abc

import keras
import numpy as np

from keras_lbreg.models.active_path import get_active_path, set_active_path

MODES = ("auto", "min", "max")


class DRegPathSelection(keras.callbacks.Callback):
    """Keeps the path of a DReg model active that validates better.

    Once an epoch, both paths are evaluated on the validation data, which are
    read once. All metrics and the loss are logged for each path
    (`val_accuracy_right`, `val_accuracy_left`, `val_loss_right`, ...), and

    ```
    active path = argmax_{p ∈ {right, left}} monitor_p
    ```

    is used from then on by `evaluate`, `predict`, `save` and `strip_dreg`; at
    a tie, the active path stays.

    The choice falls before `fit` runs its own validation, so that the epoch's
    `val_accuracy` is that of the chosen path. Without `validation_data` in
    `fit` this callback logs the chosen path's `val_...` itself, which saves a
    third evaluation. List it before callbacks that read these logs.

    What is chosen by validation data looks a little better on them than on
    new ones: report the test accuracy.

    It works for a `keras_lbreg.DRegModel` and for any model with DReg layers
    in it.

    Args:
        validation_data: `(x, y)` or `(x, y, sample_weight)` of arrays, a
            `keras.utils.PyDataset`, or an iterable of batches, such as a
            `tf.data.Dataset` (on every backend) or a list of tuples. It is
            read once an epoch, so that a generator will not do.
        monitor: Optional name of the metric that decides, as in `evaluate`.
            By default, `"accuracy"` if the model has it, else `"loss"`.
        mode: `"min"`, `"max"` or `"auto"` (the default): `"min"` for names
            that contain `loss` or `error`, else `"max"`.
        batch_size: Batch size where `validation_data` are arrays.

    Raises:
        ValueError: If `mode` is something else, `validation_data` are a
            generator or empty, `monitor` names no metric of the model, or the
            model has no DReg layer.

    Example:

    >>> model.fit(
    ...     x, y, epochs=10, validation_data=(x_val, y_val),
    ...     callbacks=[keras_lbreg.DRegPathSelection((x_val, y_val))],
    ... )

    Reference:

    - [Yuan et al., 2020](https://arxiv.org/abs/2011.08968)
    """

    def __init__(
        self, validation_data, monitor=None, mode="auto", batch_size=256
    ):
        super().__init__()
        if mode not in MODES:
            raise ValueError(
                f"Invalid value for argument `mode`. Expected one of {MODES}. "
                f"Received: mode={mode!r}"
            )
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
        if self._results is None:
            self._select()
        self._in_epoch = False
        if logs is None:
            return
        for path, results in self._results.items():
            for name, value in results.items():
                logs[f"val_{name}_{path}"] = value
        for name, value in self._results[get_active_path(self.model)].items():
            logs.setdefault(f"val_{name}", value)

    def _select(self):
        active = get_active_path(self.model)
        other = "left" if active == "right" else "right"
        self._results = self._evaluate_both()
        monitor = self._monitor()
        gain = (
            self._results[other][monitor] - self._results[active][monitor]
        ) * (-1 if self._lower_is_better(monitor) else 1)
        set_active_path(self.model, other if gain > 0 else active)

    def _evaluate_both(self):
        """Logs of `evaluate` for each path, in one pass over the data."""
        model = self.model
        active = get_active_path(model)
        model.reset_metrics()
        variables = model.metrics_variables
        states = dict.fromkeys(("right", "left"), _values(variables))
        results = {}
        # `test_on_batch` forgets the batches before. Here they count.
        model.reset_metrics = lambda: None
        try:
            for batch in _batches(self.validation_data, self.batch_size):
                for path in states:
                    set_active_path(model, path)
                    for variable, value in zip(
                        variables, states[path], strict=True
                    ):
                        variable.assign(value)
                    results[path] = model.test_on_batch(
                        *batch, return_dict=True
                    )
                    states[path] = _values(variables)
        finally:
            del model.reset_metrics
            set_active_path(model, active)
        model.reset_metrics()
        if not results:
            raise ValueError(
                "Invalid value for argument `validation_data`. Expected at "
                "least one batch. Received: empty validation_data of type "
                f"{type(self.validation_data)}"
            )
        return {
            path: {
                name: float(value)
                for name, value in logs.items()
                if name != "dreg_distance"
            }
            for path, logs in results.items()
        }

    def _monitor(self):
        names = list(self._results["right"])
        monitor = self.monitor
        if monitor is None:
            monitor = "accuracy" if "accuracy" in names else "loss"
        if monitor not in names:
            raise ValueError(
                "Invalid value for argument `monitor`. Expected one of the "
                f"names that `evaluate` gives, {names}. Received: "
                f"monitor={self.monitor!r}"
            )
        return monitor

    def _lower_is_better(self, monitor):
        if self.mode != "auto":
            return self.mode == "min"
        return "loss" in monitor or "error" in monitor


def _values(variables):
    return [keras.ops.convert_to_numpy(v) for v in variables]


def _batches(data, batch_size):
    """Batches `(x, y, sample_weight)` of validation data."""
    if isinstance(data, keras.utils.PyDataset):
        batches = (data[i] for i in range(len(data)))
    elif isinstance(data, tuple | list) and not _is_list_of_batches(data):
        size = len(keras.tree.flatten(data)[0]) if data else 0
        batches = (
            keras.tree.map_structure(
                lambda array, start=start: (
                    None if array is None else array[start : start + batch_size]
                ),
                tuple(data),
            )
            for start in range(0, size, batch_size)
        )
    else:
        batches = iter(data)
    for batch in batches:
        batch = keras.tree.map_structure(_readable, batch)
        yield keras.utils.unpack_x_y_sample_weight(batch)


def _is_list_of_batches(data):
    # `[x, y]` are arrays, as for Keras.
    return isinstance(data, list) and all(
        isinstance(batch, tuple) for batch in data
    )


def _readable(array):
    # A backend reads its own tensors and NumPy's; a `tf.data.Dataset` gives
    # TensorFlow's to every backend.
    if keras.ops.is_tensor(array) or not hasattr(array, "__array__"):
        return array
    return np.asarray(array)
