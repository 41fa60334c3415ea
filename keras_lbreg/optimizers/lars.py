"""Layer-wise adaptive rate scaling."""

import re

import keras
from keras import ops

from keras_lbreg.checks import check_non_negative_number, check_positive_number
from keras_lbreg.optimizers.coupled_weight_decay import CoupledWeightDecay


@keras.saving.register_keras_serializable(package="keras_lbreg")
class LARS(CoupledWeightDecay):
    """Momentum SGD with a local learning rate for every layer.

    For a variable `w` with gradient `g`, global learning rate `gamma`,
    momentum `m`, weight decay `beta` and trust coefficient `eta`:

    ```
    local = eta * ||w|| / (||g|| + beta * ||w|| + epsilon)
    v     = m * v + gamma * local * (g + beta * w)
    w     = w - v                                   or, with `nesterov`,
    w     = w - (m * v + gamma * local * (g + beta * w))
    ```

    Each variable moves by the same fraction of its own norm, about
    `gamma * eta`, whatever the size of its gradient.

    `local` is 1 where `||w||` or `||g||` is 0, so that a variable that starts
    at zero can leave it. Norms and the update are computed in float32 or
    better, also for half-precision variables.

    Variables of rank 0 and 1 (biases, the scales and offsets of normalisation),
    or those of `exclude`, have `local = 1` and `beta = 0`: plain momentum SGD.

    `optax.lars` has `||g + beta w||` in the denominator instead of the sum of
    norms. Other optimizers of Keras decouple `weight_decay` from the gradient;
    here it is inside, where the trust ratio sees it, and excluded by
    `exclude_from_weight_decay` as usual.

    Args:
        learning_rate: The global learning rate `gamma`: a float, a schedule of
            Keras's, or a callable without arguments. Defaults to `0.1`.
        momentum: Float in `[0, 1)`. Defaults to `0.9`.
        weight_decay: Float, at least 0, or `None` for none. The coupled
            weight decay `beta`. Defaults to `None`.
        trust_coefficient: Positive float `eta`. Defaults to `0.001`.
        epsilon: Float, at least 0. Keeps the quotient finite. Defaults to
            `1e-9`.
        nesterov: Whether to apply Nesterov momentum. Defaults to `False`.
        exclude: Sequence of regular expressions. Variables whose path
            (`"layer/kernel"`) matches one of them (`re.search`) are excluded,
            all others adapted. `None` excludes variables of rank 0 and 1.
            Defaults to `None`.
        clipnorm: Float. The gradient of each variable is clipped to this norm.
        clipvalue: Float. Every element of a gradient is clipped to this value.
        global_clipnorm: Float. All gradients together are clipped to this norm.
        use_ema: Whether to average the variables exponentially.
        ema_momentum: Float, the momentum of that average. Defaults to `0.99`.
        ema_overwrite_frequency: Integer, a number of updates after which the
            averages replace the variables, or `None` for the end of training.
        loss_scale_factor: Float, what the loss is multiplied by and the
            gradients are divided by.
        gradient_accumulation_steps: Integer, a number of micro-batches whose
            mean gradient makes one update.
        name: String, the name of the optimizer.
        **kwargs: Other arguments of `keras.optimizers.Optimizer`, none in
            Keras 3.15.

    Raises:
        ValueError: A hyperparameter is out of range.

    Example:

    >>> schedule = keras_lbreg.WarmUp(3.2, steps=200)
    >>> optimizer = keras_lbreg.LARS(schedule, weight_decay=5e-4)
    >>> model.compile(optimizer, "sparse_categorical_crossentropy")

    Reference:

    - [You et al., 2017](https://arxiv.org/abs/1708.03888)
    """

    def __init__(
        self,
        learning_rate=0.1,
        momentum=0.9,
        weight_decay=None,
        trust_coefficient=0.001,
        epsilon=1e-9,
        nesterov=False,
        exclude=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        use_ema=False,
        ema_momentum=0.99,
        ema_overwrite_frequency=None,
        loss_scale_factor=None,
        gradient_accumulation_steps=None,
        name=None,
        **kwargs,
    ):
        super().__init__(
            learning_rate,
            weight_decay,
            momentum,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            name=name,
            **kwargs,
        )
        check_positive_number("trust_coefficient", trust_coefficient)
        check_non_negative_number("epsilon", epsilon)
        self.trust_coefficient = float(trust_coefficient)
        self.epsilon = float(epsilon)
        self.nesterov = bool(nesterov)
        self.exclude = None if exclude is None else list(exclude)

    def exclude_from_layer_adaptation(self, var_list=None, var_names=None):
        """Chooses the variables that take a plain step, before `build`.

        Replaces the default choice and any earlier one. The choice is kept in
        `exclude`, and so saved with the optimizer.

        Args:
            var_list: Variables to exclude.
            var_names: Regular expressions searched in the variables' paths.
        """
        if self.built:
            raise ValueError(
                "`exclude_from_layer_adaptation()` can only be called before "
                "the optimizer is built, that is before `fit`."
            )
        paths = [path_pattern(v.path) for v in var_list or ()]
        self.exclude = [*(var_names or ()), *paths]

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self._excluded = [self._is_excluded(v) for v in variables]

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        dtype = keras.backend.result_type(variable.dtype, "float32")
        weight = ops.cast(variable, dtype)
        # The sum is dense where the gradient of an embedding is sparse: the
        # norm has to see rows looked up twice as one.
        gradient = ops.zeros_like(weight) + ops.cast(gradient, dtype)
        step = ops.cast(learning_rate, dtype)
        if not self._excluded[index]:
            decay = self.weight_decay_of(variable)
            step = step * self._local_rate(gradient, weight, decay)
            gradient = gradient + decay * weight
        change = step * gradient
        if self.momentum:
            slot = self._velocities[index]
            velocity = self.momentum * ops.cast(slot, dtype) + change
            self.assign(slot, ops.cast(velocity, variable.dtype))
            if self.nesterov:
                change = self.momentum * velocity + change
            else:
                change = velocity
        self.assign(variable, ops.cast(weight - change, variable.dtype))

    def get_config(self):
        return {
            **super().get_config(),
            "trust_coefficient": self.trust_coefficient,
            "epsilon": self.epsilon,
            "nesterov": self.nesterov,
            "exclude": None if self.exclude is None else list(self.exclude),
        }

    def _local_rate(self, gradient, weight, decay):
        weight_norm = ops.sqrt(ops.sum(ops.square(weight)))
        gradient_norm = ops.sqrt(ops.sum(ops.square(gradient)))
        total = gradient_norm + decay * weight_norm + self.epsilon
        local = self.trust_coefficient * weight_norm / total
        both = ops.logical_and(weight_norm > 0, gradient_norm > 0)
        return ops.where(both, local, ops.ones_like(local))

    def _is_excluded(self, variable):
        if self.exclude is None:
            return len(variable.shape) <= 1
        path = getattr(variable, "path", variable.name)
        return any(re.search(pattern, path) for pattern in self.exclude)


def path_pattern(path):
    """A pattern for one variable, also in the loaded model."""
    # There, Keras leaves out the names of enclosing models from the left.
    parts = path.split("/")
    outer = ""
    for part in parts[:-2]:
        outer = f"({outer}{re.escape(part)}/)?"
    return f"^{outer}{re.escape('/'.join(parts[-2:]))}$"
