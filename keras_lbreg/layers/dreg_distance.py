"""The metric that logs how far apart the kernels of a DReg layer are."""

import warnings

import keras
from keras import ops

from keras_lbreg.layers._stateless import in_stateless_scope
from keras_lbreg.layers.dreg_penalty import kernel_distance


class DRegDistance(keras.metrics.Metric):
    """‖W_R − W_L‖_F of a DReg layer, as `dreg_distance` in the logs.

    The value is the current one, not an average. Under JAX a metric cannot
    read weights inside the compiled step: the progress bar of a plain model
    then shows the value of the last look (the start of the epoch), and the
    epoch's log the current one. A `DRegModel` looks at every step.

    When a value is read outside a compiled step, at the end of every epoch at
    least, a root-mean-square distance per weight above `RUNAWAY` warns, once.

    Args:
        kernels: Callable that returns the two kernel variables.
        layer_name: Name of the layer, for the warning.
        name: Name in the logs.
    """

    RUNAWAY = 10.0

    def __init__(self, kernels, layer_name, name="dreg_distance"):
        super().__init__(name=name, dtype="float32")
        self.kernels = kernels
        self.layer_name = layer_name
        self.warned = False
        self.last_look = self.add_variable(
            shape=(), initializer="zeros", aggregation="mean", name="distance"
        )

    def update_state(self):
        """Looks at the kernels, where they can be read."""
        self.last_look.assign(kernel_distance(*self.kernels()))

    def reset_state(self):
        # Called between epochs. There is nothing to forget, and under JAX it
        # is the moment at which the weights can be read.
        if not in_stateless_scope():
            self.update_state()

    def result(self):
        if in_stateless_scope():
            return ops.convert_to_tensor(self.last_look)
        right, left = self.kernels()
        distance = kernel_distance(right, left)
        self._warn_if_runaway(distance, right.shape)
        return distance

    def _warn_if_runaway(self, distance, shape):
        try:
            distance = float(distance)
        except TypeError:
            return  # Inside a compiled step there is no number to look at.
        limit = self.RUNAWAY * float(ops.prod(shape)) ** 0.5
        # Written so that NaN counts as running away.
        if self.warned or distance <= limit:
            return
        self.warned = True
        warnings.warn(
            f"The two kernels of DReg layer '{self.layer_name}' are running "
            f"away from each other: their distance is {distance:.3g}. The "
            "published penalty -weight * ||R - L||^2 has no lower bound. Use "
            'distance="relative", or give `max_distance`.',
            RuntimeWarning,
            stacklevel=2,
        )
