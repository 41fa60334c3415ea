"""Dynamic loss scaling that asks all replicas."""

import keras

from keras_lbreg.optimizers import replicas, sparse_gradients
from keras_lbreg.optimizers.reduced_gradient import (
    ReducedGradient,
    set_all_weights,
)


@keras.saving.register_keras_serializable(package="keras_lbreg")
class LossScaleOptimizer(keras.optimizers.LossScaleOptimizer):
    """`keras.optimizers.LossScaleOptimizer`, right on any number of replicas.

    The loss is multiplied by a scale s, so that gradients in half precision do
    not vanish, and the gradients are divided by it:

    ```
    all g_k finite on every replica k:  g_k <- g_k / s, and the update
    else:                               no update, s <- s / 2
    s <- 2 s after `dynamic_growth_steps` updates in a row
    ```

    Keras's own looks at the gradients of the first replica alone: an infinity
    on another one goes into the sum and from there into the weights. Here the
    replicas, and workers, agree first, by the mean of one number. A sum of
    finite unscaled gradients is finite, so that this is the check of the
    reduced gradient, without a second reduction of it.

    It is the outermost optimizer. `compile` adds none around it.

    Args:
        inner_optimizer: A `keras.optimizers.Optimizer`, or a gradient wrapper
            of this package.
        initial_scale: Float, the scale to begin with. Defaults to `2**15`.
        dynamic_growth_steps: Integer, the number of updates in a row after
            which the scale is doubled. Defaults to `2000`.
        name: String, the name of the optimizer.
        **kwargs: None; Keras's class names the ones that belong to
            `inner_optimizer`.

    Example:

    >>> keras.config.set_dtype_policy("mixed_float16")
    >>> with tf.distribute.MirroredStrategy().scope():
    ...     model = make_model()
    ...     noise = keras_lbreg.GradientNoise(keras.optimizers.SGD(0.1))
    ...     model.compile(keras_lbreg.LossScaleOptimizer(noise), loss="mse")

    Reference:

    - [Micikevicius et al., 2018](https://arxiv.org/abs/1710.03740)
    """

    def __init__(
        self,
        inner_optimizer,
        initial_scale=2.0**15,
        dynamic_growth_steps=2000,
        name=None,
        **kwargs,
    ):
        super().__init__(
            keras.optimizers.get(inner_optimizer),
            initial_scale=float(initial_scale),
            dynamic_growth_steps=int(dynamic_growth_steps),
            name=name,
            **kwargs,
        )
        if isinstance(self.inner_optimizer, ReducedGradient):
            self.inner_optimizer._scaled_by_keras = False

    @replicas.without_autograph
    def check_finite(self, grads):
        """Whether the gradients are finite on every replica, as a tensor."""
        finite = sparse_gradients.all_finite(
            [gradient for gradient in grads if gradient is not None]
        )
        if replicas.replica_count() == 1:
            return finite
        share = keras.ops.cast(finite, "float32")
        # A mean, which no cross-device operation takes for gradients.
        return replicas.all_reduce("MEAN", share) >= 1.0

    def set_weights(self, weights):
        set_all_weights(self, weights)
