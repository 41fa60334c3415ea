"""Ghost batch normalization (Hoffer et al. 2017)."""

import keras
import numpy as np
from keras import ops

from keras_lbreg.checks import check_choice, check_positive_int, invalid
from keras_lbreg.layers.ghost_normalize import GhostBatches, ghost_normalize

STATISTICS = ("sequential", "mean")


@keras.saving.register_keras_serializable(package="keras_lbreg")
class GhostBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization over small parts of a large batch.

    A large batch gives batch normalization less noisy statistics than a small
    one does, and the noise is part of why small batches generalize better.
    This layer cuts the batch of `B` samples into `q = max(1, B // S)`
    consecutive *ghost batches* of `S = ghost_batch_size` samples (the last one
    takes the `B mod S` left over), and normalizes each by its own statistics.

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

    and `moving_variance` likewise.

    **During inference**, and with `trainable = False`, the layer is
    `keras.layers.BatchNormalization`, with the same variables. A `.weights.h5`
    file of a model with Keras's layer does not load into one with this layer:
    load it first, then call `keras_lbreg.apply_ghost_batch_norm`.

    Under `tf.distribute`, every replica cuts its own part of the batch and, as
    with Keras's layer, keeps its own moving statistics.

    Args:
        axis: Integer, the axis of the features; not the batch axis.
            Defaults to `-1`.
        momentum: Float, momentum `m` of the moving statistics.
            Defaults to `0.99`.
        epsilon: Float, added to variances. Defaults to `1e-3`.
        center: If `True`, add `beta`. Defaults to `True`.
        scale: If `True`, multiply by `gamma`. Defaults to `True`.
        beta_initializer: Initializer of `beta`. Defaults to `"zeros"`.
        gamma_initializer: Initializer of `gamma`. Defaults to `"ones"`.
        moving_mean_initializer: Initializer of the moving mean. Defaults to
            `"zeros"`.
        moving_variance_initializer: Initializer of the moving variance.
            Defaults to `"ones"`.
        beta_regularizer: Optional regularizer of `beta`.
        gamma_regularizer: Optional regularizer of `gamma`.
        beta_constraint: Optional constraint on `beta`.
        gamma_constraint: Optional constraint on `gamma`.
        renorm: Only `False`. Batch renormalization takes away the noise that
            ghost batches are for.
        renorm_clipping: Without effect.
        renorm_momentum: Without effect.
        synchronized: Only `False`.
        ghost_batch_size: Integer, the number of samples `S` in a ghost batch.
            Defaults to `128`.
        statistics: `"sequential"` or `"mean"`, how the moving statistics take
            in those of several ghost batches. Defaults to `"sequential"`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`, `dtype`
            and `trainable`.

    Call arguments:
        inputs: Input tensor, of rank 2 or higher. A sparse one is made dense.
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
        ValueError: If an argument is out of its range, `synchronized` or
            `renorm` is set, `axis` is the batch axis, or the inputs are
            ragged.

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
        beta_initializer="zeros",
        gamma_initializer="ones",
        moving_mean_initializer="zeros",
        moving_variance_initializer="ones",
        beta_regularizer=None,
        gamma_regularizer=None,
        beta_constraint=None,
        gamma_constraint=None,
        renorm=False,
        renorm_clipping=None,
        renorm_momentum=0.99,
        synchronized=False,
        *,
        ghost_batch_size=128,
        statistics="sequential",
        **kwargs,
    ):
        if synchronized:
            expected = (
                "`False`: ghost batches are normalized apart from each other, "
                "the more so on different replicas. Use "
                "`keras.layers.BatchNormalization` to synchronize"
            )
            raise invalid("synchronized", expected, synchronized)
        if renorm:
            expected = (
                "`False`: batch renormalization takes away the noise of small "
                "batches, which ghost batches are for. Use "
                "`keras.layers.BatchNormalization` to renormalize"
            )
            raise invalid("renorm", expected, renorm)
        check_positive_int(
            "ghost_batch_size",
            ghost_batch_size,
            "a number of samples to normalize together, an integer",
        )
        check_choice("statistics", statistics, STATISTICS)
        super().__init__(
            axis=axis,
            momentum=momentum,
            epsilon=epsilon,
            center=center,
            scale=scale,
            beta_initializer=beta_initializer,
            gamma_initializer=gamma_initializer,
            moving_mean_initializer=moving_mean_initializer,
            moving_variance_initializer=moving_variance_initializer,
            beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer,
            beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint,
            renorm_clipping=renorm_clipping,
            renorm_momentum=float(renorm_momentum),
            **kwargs,
        )
        self.ghost_batch_size = int(ghost_batch_size)
        self.statistics = statistics

    def build(self, input_shape):
        if self.axis in (0, -len(input_shape)):
            expected = (
                "the axis of the features: axis 0 is the batch, which is cut "
                f"into ghost batches; the inputs have shape {input_shape}"
            )
            raise invalid("axis", expected, self.axis)
        super().build(input_shape)

    def call(self, inputs, training=None, mask=None):
        if type(inputs).__name__ == "RaggedTensor":
            expected = (
                "a dense or a sparse tensor: make a ragged one dense by its "
                "`to_tensor`, and pass a `mask` for the elements added"
            )
            raise invalid("inputs", expected, inputs)
        inputs = ops.convert_to_tensor(inputs, sparse=False)
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
        gamma, beta = ops.ones(features, x.dtype), ops.zeros(features, x.dtype)
        if self.scale:
            gamma = ops.cast(self.gamma, x.dtype)
        if self.center:
            beta = ops.cast(self.beta, x.dtype)
        y, means, variances = ghost_normalize(
            x, ghosts, self.epsilon, gamma, beta, mask
        )
        self._update(self.moving_mean, means, ghosts)
        self._update(self.moving_variance, variances, ghosts)
        return ops.cast(y, self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "ghost_batch_size": self.ghost_batch_size,
            "statistics": self.statistics,
        }

    def _update(self, variable, per_ghost, ghosts):
        """Takes the statistics of the ghosts into a moving one."""
        dtype = per_ghost.dtype
        moving = ops.cast(variable, dtype)
        m, count = self.momentum, ghosts.count
        if self.statistics == "mean":
            kept = m
            updates = ops.mean(per_ghost, axis=0) * (1.0 - m)
        else:
            if ghosts.is_static:
                # In float64: a float32 power would show in a float64 model.
                weights = (1.0 - m) * m ** np.arange(count - 1.0, -1.0, -1.0)
                weights = ops.convert_to_tensor(weights, dtype=dtype)
                kept = m**count
            else:
                momentum = ops.convert_to_tensor(m, dtype=dtype)
                age = ops.arange(count - 1, -1, -1, dtype="int32")
                weights = ops.power(momentum, ops.cast(age, dtype)) * (1.0 - m)
                kept = ops.power(momentum, ops.cast(count, dtype))
            updates = ops.sum(ops.expand_dims(weights, 1) * per_ghost, axis=0)
        updated = moving * kept + updates
        # A replica may get no samples of the last batch of an epoch.
        variable.assign(ops.where(ghosts.batch_size > 0, updated, moving))
