"""Ghost normalization by TensorFlow's fused kernel, a ghost at a time.

One ghost batch fits the processor's cache where the batch does not, and the
fused kernel reads its input less often than separate operations do. Plain
Keras operations do the same everywhere else: XLA fuses them by itself, and on a
GPU many small launches would undo the gain.
"""

import math

import tensorflow as tf
from keras import ops

# TensorFlow publishes no way to ask whether a function is compiled by XLA
# (checked on 2.21).
from tensorflow.python.ops import control_flow_util

from keras_lbreg.layers.ghost_batches import GhostBatches
from keras_lbreg.layers.ghost_normalize import normalize_in_ops

# Elements in a ghost batch below which the loop over ghosts costs more than the
# kernel saves (see `benchmarks/ghost_batch_normalization.py`).
WORTHWHILE = 2**16


def can_fuse(x, ghosts):
    """Whether the fused kernel takes this input here, and is worth it."""
    return (
        x.dtype == tf.float32
        and ghosts.axis == len(x.shape) - 1
        and _is_worthwhile(ghosts)
        and not in_xla()
        and not tf.config.list_physical_devices("GPU")
    )


def _is_worthwhile(ghosts):
    per_ghost = ghosts.ghost_batch_size * math.prod(ghosts.shape[1:])
    return not isinstance(per_ghost, int) or per_ghost >= WORTHWHILE


def in_xla():
    """Whether the function being traced is compiled by XLA."""
    return control_flow_util.GraphOrParentsInXlaContext(
        tf.compat.v1.get_default_graph()
    )


def fused_ghost_normalize(x, ghosts, epsilon, gamma, beta):
    """Normalizes each ghost batch by its own mean and variance.

    Args:
        x: float32 tensor of shape `(B, ..., C)`.
        ghosts: The `GhostBatches` of the batch.
        epsilon: A float.
        gamma: Tensor of shape `(C,)`.
        beta: Tensor of shape `(C,)`.

    Returns:
        Tuple `(y, means, variances)`. The last two, of shape `(q, C)`, carry
        no gradient.
    """
    # The kernel insists on four axes.
    images = tf.reshape(
        x, [ghosts.batch_size, math.prod(ghosts.shape[1:-1]), 1, x.shape[-1]]
    )
    as_images = GhostBatches(ops.shape(images), ghosts.ghost_batch_size, 3)

    @tf.custom_gradient
    def normalize(images, gamma, beta):
        y, statistics = _forward(images, gamma, beta, ghosts, epsilon)

        @tf.custom_gradient
        def differentiate(images, gamma, beta, dy):
            def second_order(*upstream):
                # The kernel's gradient has no gradient of its own.
                inputs = (images, gamma, beta, dy)
                with tf.GradientTape() as outer:
                    outer.watch(inputs)
                    with tf.GradientTape() as inner:
                        inner.watch(inputs[:3])
                        y, _, _ = normalize_in_ops(
                            images, as_images, epsilon, gamma, beta
                        )
                    first = inner.gradient(y, inputs[:3], output_gradients=dy)
                return outer.gradient(
                    first,
                    inputs,
                    output_gradients=upstream,
                    unconnected_gradients="zero",
                )

            gradients = _backward(
                images, gamma, dy, statistics, ghosts, epsilon
            )
            return gradients, second_order

        def gradient(dy, *_):
            return differentiate(images, gamma, beta, dy)

        return (y, statistics[:, 0], statistics[:, 1]), gradient

    y, means, variances = normalize(images, gamma, beta)
    # The kernel divides the squares by n - 1.
    n = ghosts.elements(x.dtype)
    variances *= tf.maximum(n - 1, 1) / tf.maximum(n, 1)
    return tf.reshape(y, ghosts.shape), means, variances


def _forward(images, gamma, beta, ghosts, epsilon):
    """The outputs, and per ghost the kernel's four `(C,)` results, stacked."""

    def step(i, ys, statistics):
        y, *results = tf.raw_ops.FusedBatchNormV3(
            x=_cut(images, ghosts, i),
            scale=gamma,
            offset=beta,
            mean=tf.zeros([0]),
            variance=tf.zeros([0]),
            epsilon=epsilon,
            is_training=True,
        )
        return i + 1, ys.write(i, y), statistics.write(i, tf.stack(results[:4]))

    _, ys, statistics = tf.while_loop(
        lambda i, *_: i < ghosts.count,
        step,
        [
            0,
            _array(ghosts, [None, *images.shape[1:]]),
            _array(ghosts, [4, images.shape[-1]]),
        ],
    )
    return ys.concat(), statistics.stack()


def _backward(images, gamma, dy, statistics, ghosts, epsilon):
    """Gradients with regard to images, gamma and beta."""

    def step(i, dxs, dgamma, dbeta):
        dx, dgamma_i, dbeta_i, *_ = tf.raw_ops.FusedBatchNormGradV3(
            y_backprop=_cut(dy, ghosts, i),
            x=_cut(images, ghosts, i),
            scale=gamma,
            reserve_space_1=statistics[i, 2],
            reserve_space_2=statistics[i, 3],
            reserve_space_3=tf.zeros([]),
            epsilon=epsilon,
            is_training=True,
        )
        return i + 1, dxs.write(i, dx), dgamma + dgamma_i, dbeta + dbeta_i

    _, dxs, dgamma, dbeta = tf.while_loop(
        lambda i, *_: i < ghosts.count,
        step,
        [
            0,
            _array(ghosts, [None, *images.shape[1:]]),
            tf.zeros_like(gamma),
            tf.zeros_like(gamma),
        ],
    )
    return dxs.concat(), dgamma, dbeta


def _cut(images, ghosts, i):
    start = i * ghosts.ghost_batch_size
    stop = tf.where(
        i == ghosts.count - 1,
        ghosts.batch_size,
        start + ghosts.ghost_batch_size,
    )
    return images[start:stop]


def _array(ghosts, element_shape):
    return tf.TensorArray(
        tf.float32,
        size=ghosts.count,
        infer_shape=False,
        element_shape=element_shape,
    )
