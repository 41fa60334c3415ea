"""The one place where Keras's decoupled weight decay is switched off.

There is no public way to keep `weight_decay` and use it otherwise:
`_apply_weight_decay` and `_use_weight_decay` are private, and checked against
Keras 3.15 by `tests/optimizers/test_coupled_weight_decay.py`.
"""

from numbers import Real

import keras

from keras_lbreg.checks import check_fraction, invalid


class CoupledWeightDecay(keras.optimizers.Optimizer):
    """A momentum optimizer whose update rule uses `weight_decay` itself."""

    def __init__(
        self, learning_rate, weight_decay=None, momentum=0.0, **kwargs
    ):
        if weight_decay is not None:
            if not 0 <= weight_decay < float("inf"):
                raise invalid(
                    "weight_decay", "a number at least 0, or None", weight_decay
                )
            weight_decay = float(weight_decay)
        if isinstance(learning_rate, Real):
            # Keras takes no integers and no `np.float32`.
            learning_rate = float(learning_rate)
        super().__init__(
            learning_rate=learning_rate, weight_decay=weight_decay, **kwargs
        )
        check_fraction("momentum", momentum)
        self.momentum = float(momentum)

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self._velocities = []
        if self.momentum:
            self._velocities = self.add_optimizer_variables(
                variables, "velocity"
            )

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum}

    def _apply_weight_decay(self, variables):
        """Leaves the weights alone: the update rule decays them."""

    def weight_decay_of(self, variable):
        """The weight decay of a variable, 0 where it is excluded."""
        if self.weight_decay and self._use_weight_decay(variable):
            return self.weight_decay
        return 0.0
