"""Ghost batch normalization (Hoffer et al. 2017)."""

import numbers

import keras
from keras import ops

from keras_lbreg.layers.ghost_batches import GhostBatches
from keras_lbreg.layers.ghost_normalize import ghost_normalize
from keras_lbreg.layers.ghost_renorm import renorm_correction
from keras_lbreg.layers.moving_statistics import (
    STATISTICS,
    update_moving_statistics,
)


@keras.saving.register_keras_serializable(package="keras_lbreg")
class GhostBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization over small parts of a large batch.

    A large batch gives batch normalization less noisy statistics than a small
    one does, and the noise is part of why small batches generalize better.
    This layer cuts the batch of `B` samples into `q = max(1, B // S)`
    consecutive *ghost batches* of `S = ghost_batch_size` samples, and
    normalizes each by its own statistics. The `B mod S` samples left over join
    the last ghost batch.

    **During training**, for the samples of ghost batch `i`, of mean `mu_i` and
    biased variance `var_i`,

    ```
    y = gamma * (x - mu_i) / sqrt(var_i + epsilon) + beta
    ```

    with `gamma` and `beta` shared by all. With `m = momentum`, the moving
    statistics become, for `statistics="sequential"` (as in the authors' code:
    one ghost after another goes through an ordinary layer),

    ```
    moving_mean <- m^q * moving_mean + (1 - m) * sum_i m^(q - i) * mu_i
    ```

    and for `statistics="mean"`, one step with the mean over the ghosts,

    ```
    moving_mean <- m * moving_mean + (1 - m) * (mu_1 + ... + mu_q) / q
    ```

    and `moving_variance` likewise. A batch without samples leaves them alone.

    **During inference**, and with `trainable = False`, the layer is
    `keras.layers.BatchNormalization`. It has the same variables, too, so
    weights can go from one to the other by `get_weights` and `set_weights`. A
    `.weights.h5` file of a model with Keras's layer does not load into one
    with this layer, as Keras looks layers up by their classes there: load it
    first, then call `keras_lbreg.apply_ghost_batch_norm`.

    Under `tf.distribute`, every replica cuts its own part of the batch and, as
    with Keras's layer, keeps its own moving statistics. Statistics are
    computed in float32 also for inputs of lower precision.

    Args:
        axis: Integer, the axis of the features; not the batch axis.
            Defaults to `-1`.
        momentum: Float, momentum `m` of the moving statistics.
            Defaults to `0.99`.
        epsilon: Float, added to variances. Defaults to `1e-3`.
        center: If `True`, add `beta`. Defaults to `True`.
        scale: If `True`, multiply by `gamma`. Defaults to `True`.
        ghost_batch_size: Integer, the number of samples `S` in a ghost batch.
            Defaults to `128`.
        statistics: `"sequential"` or `"mean"`, how the moving statistics take
            in those of several ghost batches. Defaults to `"sequential"`.
        **kwargs: The other arguments of `keras.layers.BatchNormalization`.
            `synchronized=True` is refused: it asks for the statistics of the
            batch over all replicas, ghost batches for those of a part of it.
            With `renorm=True`, every ghost batch is corrected towards the
            running statistics as they were before the step.

    Call arguments:
        inputs: Input tensor, of rank 2 or higher.
        training: Python boolean: normalize by the ghosts' own statistics and
            update the moving ones, or normalize by the moving ones.
        mask: Binary tensor of shape broadcastable to `inputs`, less its last
            axis. Elements where it is `False` do not count for the statistics;
            those of a ghost batch without any other are taken to be 0.

    Input shape:
        `(batch_size, ...)`

    Output shape:
        As the input.

    Raises:
        ValueError: If an argument is out of its range, `synchronized` is set,
            or `axis` is the batch axis.

    Example:

    >>> layer = GhostBatchNormalization(ghost_batch_size=2, epsilon=1e-9)
    >>> x = np.array([[0.0], [2.0], [10.0], [14.0]])
    >>> y = layer(x, training=True)
    >>> keras.ops.convert_to_numpy(y).round(3).ravel().tolist()
    [-1.0, 1.0, -1.0, 1.0]

    Reference:

    - [Hoffer et al., 2017](https://arxiv.org/abs/1705.08741)
    """

    def __init__(
        self,
        axis=-1,
        momentum=0.99,
        epsilon=1e-3,
        center=True,
        scale=True,
        *,
        ghost_batch_size=128,
        statistics="sequential",
        **kwargs,
    ):
        if kwargs.get("synchronized"):
            raise ValueError(
                "Invalid value for argument `synchronized`. Expected `False`: "
                "ghost batches are normalized apart from each other, the "
                "more so on different replicas. Use "
                "`keras.layers.BatchNormalization` to synchronize. Received: "
                f"synchronized={kwargs['synchronized']}"
            )
        if (
            not isinstance(ghost_batch_size, numbers.Integral)
            or isinstance(ghost_batch_size, bool)
            or ghost_batch_size < 1
        ):
            raise ValueError(
                "Invalid value for argument `ghost_batch_size`. Expected a "
                "positive integer, the number of samples normalized together. "
                f"Received: ghost_batch_size={ghost_batch_size}"
            )
        if statistics not in STATISTICS:
            raise ValueError(
                "Invalid value for argument `statistics`. Expected one of "
                f"{STATISTICS}. Received: statistics={statistics}"
            )
        super().__init__(axis, momentum, epsilon, center, scale, **kwargs)
        self.ghost_batch_size = int(ghost_batch_size)
        self.statistics = statistics

    def build(self, input_shape):
        if self.axis in (0, -len(input_shape)):
            raise ValueError(
                "Invalid value for argument `axis`. Expected the axis of the "
                "features: axis 0 is the batch, which is cut into ghost "
                f"batches. Received: axis={self.axis}, with inputs of shape "
                f"{input_shape}"
            )
        super().build(input_shape)

    def call(self, inputs, training=None, mask=None):
        if not (training and self.trainable):
            return super().call(inputs, training=False, mask=mask)
        if mask is not None and len(mask.shape) != len(inputs.shape) - 1:
            raise ValueError(
                "Invalid value for argument `mask`. Expected one dimension "
                f"less than the inputs have. Received: mask.shape={mask.shape}"
                f", with inputs.shape={inputs.shape}"
            )
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        axis = self.axis % len(x.shape)
        ghosts = GhostBatches(ops.shape(x), self.ghost_batch_size, axis)
        features = (ghosts.channels,)
        gamma = (
            ops.cast(self.gamma, x.dtype)
            if self.scale
            else ops.ones(features, x.dtype)
        )
        beta = (
            ops.cast(self.beta, x.dtype)
            if self.center
            else ops.zeros(features, x.dtype)
        )
        if self.renorm:
            y = self._renormalize(x, ghosts, gamma, beta, mask)
        else:
            y, means, variances = ghost_normalize(
                x, ghosts, self.epsilon, gamma, beta, mask
            )
            self._take_in(self.moving_mean, means, ghosts)
            self._take_in(self.moving_variance, variances, ghosts)
        return ops.cast(y, self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "ghost_batch_size": self.ghost_batch_size,
            "statistics": self.statistics,
        }

    def _renormalize(self, x, ghosts, gamma, beta, mask):
        z, means, variances = ghost_normalize(
            x, ghosts, self.epsilon, ops.ones_like(gamma), 0 * beta, mask
        )
        r, d = renorm_correction(means, variances, self)
        scale = ghosts.spread(ghosts.expand(r * gamma))
        offset = ghosts.spread(ghosts.expand(d * gamma + beta))
        y = ghosts.join(ghosts.split(z) * scale + offset)
        stddevs = ops.sqrt(variances + self.epsilon)
        rate = self.renorm_momentum
        self._take_in(self.renorm_mean, means, ghosts, rate)
        self._take_in(self.renorm_stddev, stddevs, ghosts, rate)
        self._take_in(self.moving_mean, means, ghosts)
        stddev = self._take_in(self.moving_stddev, stddevs, ghosts)
        self.moving_variance.assign(ops.relu(stddev**2 - self.epsilon))
        return y

    def _take_in(self, variable, per_ghost, ghosts, momentum=None):
        """Updates a moving statistic; returns its new value."""
        moving = ops.cast(variable, per_ghost.dtype)
        updated = update_moving_statistics(
            moving,
            per_ghost,
            self.momentum if momentum is None else momentum,
            self.statistics,
        )
        # A replica may get no samples of the last batch of an epoch.
        updated = ops.where(ghosts.batch_size > 0, updated, moving)
        variable.assign(updated)
        return updated
