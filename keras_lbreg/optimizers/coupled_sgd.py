"""Momentum SGD as the papers' frameworks have it."""

import keras
from keras import ops

from keras_lbreg.checks import check_positive_int
from keras_lbreg.optimizers.coupled_weight_decay import CoupledWeightDecay


@keras.saving.register_keras_serializable(package="keras_lbreg")
class CoupledSGD(CoupledWeightDecay):
    """Momentum SGD with weight decay inside of the gradient.

    For a variable `w` with gradient `g`, learning rate `eta`, momentum `m` and
    weight decay `beta`, at update `t` (from 0):

    ```
    g = g + beta * w                          after any clipping
    v = m_t * v + g
    w = w - eta * v

    m_t = 0 if `reset_momentum_every` divides t, else m
    ```

    Two differences to `keras.optimizers.SGD`. There, `weight_decay` shrinks the
    weights outside of the gradient; here it is part of what momentum
    accumulates. There, the velocity holds the learning rate, so that it keeps
    the old rate for some updates after a drop; here it does not. At a constant
    rate and without weight decay the two are the same.

    Args:
        learning_rate: A float, a schedule of Keras's, or a callable without
            arguments. Defaults to `0.01`.
        momentum: Float in `[0, 1)`. Defaults to `0.0`.
        weight_decay: Float, at least 0, or `None` for none. Every variable is
            decayed that `exclude_from_weight_decay` does not exclude, biases
            and normalizations among them. Defaults to `None`.
        reset_momentum_every: Positive integer, a number of updates after which
            the velocity is forgotten, or `None` for never. Hoffer et al. build
            their optimizer anew in every epoch, which does this. Defaults to
            `None`.
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

    >>> optimizer = CoupledSGD(
    ...     0.1, momentum=0.9, weight_decay=1e-4, global_clipnorm=5.0
    ... )
    >>> model.compile(optimizer, "sparse_categorical_crossentropy")

    Reference:

    - `torch.optim.SGD`, and for the reset the code of
      [Hoffer et al., 2017](https://arxiv.org/abs/1705.08741)
    """

    def __init__(
        self,
        learning_rate=0.01,
        momentum=0.0,
        weight_decay=None,
        reset_momentum_every=None,
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
        if reset_momentum_every is not None:
            check_positive_int("reset_momentum_every", reset_momentum_every)
            reset_momentum_every = int(reset_momentum_every)
        self.reset_momentum_every = reset_momentum_every

    def update_step(self, gradient, variable, learning_rate):
        dtype = variable.dtype
        rate = ops.cast(learning_rate, dtype)
        gradient = ops.cast(gradient, dtype)
        decay = self.weight_decay_of(variable)
        if decay:
            gradient = gradient + decay * ops.convert_to_tensor(variable)
        if self.momentum:
            velocity = self._velocities[self._get_variable_index(variable)]
            gradient = self._momentum(dtype) * velocity + gradient
            self.assign(velocity, gradient)
        self.assign_sub(variable, rate * gradient)

    def get_config(self):
        return {
            **super().get_config(),
            "reset_momentum_every": self.reset_momentum_every,
        }

    def _momentum(self, dtype):
        if self.reset_momentum_every is None:
            return self.momentum
        # Inside of the compiled step: a callback would come between the
        # updates that run as one.
        every = ops.cast(self.reset_momentum_every, self.iterations.dtype)
        goes_on = ops.not_equal(ops.mod(self.iterations, every), 0)
        return self.momentum * ops.cast(goes_on, dtype)
