"""Lengths of the gradients of single replicas and of the whole batch."""

import keras
from keras import ops

from keras_lbreg.optimizers import replicas, sparse_gradients
from keras_lbreg.optimizers.reduced_gradient import ReducedGradient


@keras.saving.register_keras_serializable(package="keras_lbreg")
class SquaredGradients(ReducedGradient):
    """Measures what `GradientNoiseScale` needs, from gradients that are there.

    For K replicas with local gradients `g_k` of B_s samples each, it adds up
    over the updates

    ```
    |G_s|^2 = (1/K) sum_k |g_k|^2,    |G_b|^2 = |(1/K) sum_k g_k|^2
    ```

    before clipping and noise. The update is that of `ReducedGradient`. The cost
    is a pass over the gradients and one number to reduce. Updates whose
    gradient is not finite are left out.

    With batch normalization, each replica's gradient is that of its own
    statistics, as in training. Gradients that `GradientMix` has weighted, or
    `GradientMixCrossDeviceOps`, are no means, and measure too much noise.

    With one replica, and under JAX, both are the same and nothing is measured:
    hand data to `GradientNoiseScale` there.

    Args:
        inner_optimizer: A `keras.optimizers.Optimizer`, or another gradient
            wrapper of this package.
        name: String, the name of the wrapper.

    Example:

    >>> with tf.distribute.MirroredStrategy().scope():
    ...     model = make_model()
    ...     model.compile(SquaredGradients(keras.optimizers.SGD(0.1)), "mse")
    >>> noise = keras_lbreg.GradientNoiseScale(small_batch=64)
    >>> model.fit(x, y, batch_size=128, callbacks=[noise])  # two replicas

    Reference:

    - [McCandlish et al., 2018](https://arxiv.org/abs/1812.06162), Appendix A.1
    """

    def __init__(self, inner_optimizer, name=None):
        super().__init__(inner_optimizer, name=name)
        self._sums = [
            self.add_variable(
                shape=(),
                initializer="zeros",
                dtype="float32",
                aggregation="only_first_replica",
                name=part,
            )
            for part in ("small_squares", "big_squares", "count")
        ]

    def observe_gradients(self, local_gradients, reduced_gradients, variables):
        count = replicas.replica_count()
        if count == 1:
            return
        own = squared_length(local_gradients, variables)
        # Keras divides each replica's loss by K: g_k is K times as long.
        small = count * replicas.all_reduce("SUM", own)
        big = squared_length(reduced_gradients, variables)
        finite = ops.isfinite(small) & ops.isfinite(big)
        for total, value in zip(self._sums, (small, big, 1.0), strict=True):
            value = ops.cast(value, "float32")
            total.assign_add(ops.where(finite, value, ops.zeros_like(value)))

    def take_squares(self):
        """|G_s|^2 and |G_b|^2 since the last call; None without updates."""
        small, big, count = (
            float(ops.convert_to_numpy(total)) for total in self._sums
        )
        for total in self._sums:
            total.assign(0.0)
        return (small / count, big / count) if count else None


def squared_length(gradients, variables):
    squares = []
    for gradient, variable in zip(gradients, variables, strict=True):
        # Rows of an embedding may be there more than once.
        dense = sparse_gradients.densify(gradient, variable.shape)
        squares.append(ops.sum(ops.square(ops.cast(dense, "float32"))))
    return ops.sum(ops.stack(squares))
