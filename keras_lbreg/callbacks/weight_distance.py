"""How far the weights have moved from where they started."""

import re
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_lbreg.checks import check_choice

DREG_TWINS = ("/kernel_left$",)


class LogFit(NamedTuple):
    """The line `distance = intercept + slope * ln(update)` and its fit."""

    slope: float
    intercept: float
    r2: float


class WeightDistance(keras.callbacks.Callback):
    """Measures the distance of the weights from their first values.

    After update `t` of a run that began with the weights `w_0` it is

    ```
    d(t)   = || w_t - w_0 ||            over all trainable weights
    d_l(t) = || w_t,l - w_0,l ||        over the weights of layer l
    ```

    with `d(t)^2 = sum_l d_l(t)^2`. Hoffer et al. find that it grows as
    `ln t` for every batch size, more slowly for larger ones; with a scaled
    learning rate and ghost batch normalization the lines come together.
    `log_fit` returns the line.

    The distance at the end of an epoch goes into the epoch's logs as
    `weight_distance`, so that `History`, and a `CSVLogger` or `TensorBoard`
    *after* this callback in the list, record it.

    `w_0` is taken when the first `fit` begins; later calls of `fit` with the
    same callback continue it. To continue in another process, save
    `get_state()` beside the model and hand it to `set_state` before `fit`.

    Args:
        frequency: `"epoch"`, measure at the end of every epoch, or `"log"`,
            measure also during epochs, at about twenty update numbers per
            decade. Defaults to `"epoch"`.
        per_layer: Whether the epoch's logs get `weight_distance/<layer>` too.
            Defaults to `False`.
        exclude: Sequence of regular expressions. Variables whose path matches
            one of them (`re.search`) are left out. By default the second kernel
            of DReg layers, whose distance the penalty drives.

    Attributes:
        updates: List of update numbers `t`, increasing.
        distances: List of `d(t)`.
        layer_distances: Dictionary from the layers' paths to lists of
            `d_l(t)`.

    Raises:
        ValueError: `frequency` is unknown, the model is not built when `fit`
            begins, or its trainable weights are not those the run began with.

    Example:

    >>> distance = keras_lbreg.WeightDistance(frequency="log")
    >>> history = model.fit(x, y, epochs=10, callbacks=[distance])
    >>> history.history["weight_distance"][-1]
    >>> slope, intercept, r2 = distance.log_fit()
    >>> np.savez("distance.npz", **distance.get_state())

    Reference:

    - [Hoffer et al., 2017](https://arxiv.org/abs/1705.08741)
    """

    def __init__(self, frequency="epoch", per_layer=False, exclude=DREG_TWINS):
        super().__init__()
        check_choice("frequency", frequency, ("epoch", "log"))
        self.frequency = frequency
        self.per_layer = per_layer
        self.exclude = tuple(exclude)
        self.updates = []
        self.distances = []
        self.layer_distances = {}
        self._origin = None
        self._origin_iterations = 0
        self._layers = []
        self._epoch_start = 0
        self._next_update = 1

    def on_train_begin(self, logs=None):
        model = self.model
        if not model.built:
            raise ValueError(
                "`WeightDistance` needs the weights that training begins "
                "with, but the model has none before its first call. Give it "
                "a `keras.Input`, or call it once before `fit`."
            )
        values = self._values(model)
        if self._origin is None:
            self._origin = values
            self._origin_iterations = iterations_of(model)
            # Taken once: a model has other paths after it has been loaded.
            self._layers = [
                variable.path.rpartition("/")[0]
                for variable in self._variables(model)
            ]
        elif [v.shape for v in values] != [v.shape for v in self._origin]:
            raise ValueError(
                "The trainable weights of the model are not those that "
                "`WeightDistance` began with. Expected shapes "
                f"{[v.shape for v in self._origin]}. Received: shapes "
                f"{[v.shape for v in values]}. Use a new `WeightDistance` "
                "after changing the model or what is trainable in it."
            )

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch_start = self._completed_updates(self.model)
        self._next_update = self._update_after(self._epoch_start)

    def on_train_batch_begin(self, batch, logs=None):
        # The number of batches stands in for the number of updates here:
        # looking at the model after every batch would synchronise JAX's
        # state and wait for the device.
        update = self._epoch_start + batch
        if self.frequency == "log" and update >= self._next_update:
            self._measure()

    def on_epoch_end(self, epoch, logs=None):
        total, layers = self._measure()
        if logs is not None:
            logs["weight_distance"] = total
            if self.per_layer:
                for layer, distance in layers.items():
                    logs[f"weight_distance/{layer}"] = distance

    def log_fit(self, first_update=1):
        """Fits `distance = intercept + slope * ln(update)`.

        Returns a named tuple `(slope, intercept, r2)`, `r2` being the share of
        the variance of the distance that the line explains. Measurements before
        `first_update` are left out.
        """
        points = [
            (np.log(t), d)
            for t, d in zip(self.updates, self.distances, strict=True)
            if t >= max(1, first_update)
        ]
        if len(points) < 2:
            raise ValueError(
                "A line needs at least two measurements. Received: "
                f"{len(points)} from update {first_update} on. Train longer, "
                "or use `frequency='log'`."
            )
        x, y = np.transpose(points)
        slope, intercept = np.polyfit(x, y, 1)
        residual = np.sum((y - intercept - slope * x) ** 2)
        total = np.sum((y - y.mean()) ** 2)
        r2 = 1 - residual / total if total else 1.0
        return LogFit(float(slope), float(intercept), float(r2))

    def get_state(self):
        """Everything needed to continue, as a dictionary of numpy arrays."""
        if self._origin is None:
            raise ValueError(
                "`WeightDistance` has no state before the first `fit`."
            )
        return {
            "iterations": np.array(self._origin_iterations),
            "updates": np.array(self.updates, "int64"),
            "distances": np.array(self.distances, "float64"),
            "layers": np.array(self._layers, "str"),
            "layer_distances": np.array(
                list(self.layer_distances.values()), "float64"
            ),
            **{f"origin_{i}": v for i, v in enumerate(self._origin)},
        }

    def set_state(self, state):
        """Continues from `get_state()`, or an `np.load` of it."""
        count = sum(key.startswith("origin_") for key in state)
        self._origin = [np.array(state[f"origin_{i}"]) for i in range(count)]
        self._origin_iterations = int(state["iterations"])
        self.updates = state["updates"].tolist()
        self.distances = state["distances"].tolist()
        self._layers = state["layers"].tolist()
        self.layer_distances = dict(
            zip(
                dict.fromkeys(self._layers),
                state["layer_distances"].tolist(),
                strict=False,  # no lists before the first measurement
            )
        )

    def _measure(self):
        model = self.model
        update = self._completed_updates(model)
        squares = dict.fromkeys(self._layers, 0.0)
        for layer, value, origin in zip(
            self._layers, self._values(model), self._origin, strict=True
        ):
            moved = value.astype("float64") - origin
            squares[layer] += float(np.vdot(moved, moved))
        layers = {layer: square**0.5 for layer, square in squares.items()}
        total = sum(squares.values()) ** 0.5

        # Later measurements can only be left from before a rollback.
        keep = int(np.searchsorted(self.updates, update))
        self.updates = [*self.updates[:keep], update]
        self.distances = [*self.distances[:keep], total]
        for layer, distance in layers.items():
            before = self.layer_distances.get(layer, [])[:keep]
            self.layer_distances[layer] = [*before, distance]
        self._next_update = self._update_after(update)
        return total, layers

    @staticmethod
    def _update_after(update):
        """The next one to measure at, some twenty in a decade."""
        return max(update + 1, round(update * 10 ** (1 / 20)))

    def _completed_updates(self, model):
        return iterations_of(model) - self._origin_iterations

    def _variables(self, model):
        return [
            variable
            for variable in model.trainable_variables
            if not any(re.search(e, variable.path) for e in self.exclude)
        ]

    def _values(self, model):
        return [
            np.array(ops.convert_to_numpy(variable), "float32")
            for variable in self._variables(model)
        ]


def iterations_of(model):
    """Number of completed updates of a compiled model."""
    return int(ops.convert_to_numpy(model.optimizer.iterations))
