"""Normalization of each ghost batch by its own statistics."""

import math

import keras
from keras import ops

# Elements in a ghost batch below which a loop over ghosts costs more than
# TensorFlow's fused kernel saves.
WORTHWHILE = 2**16


class GhostBatches:
    """The consecutive ghost batches of a batch of shape `(B, ...)`.

    There are `q = max(1, B // S)` of `S` samples, but for the last one, which
    also takes the `B mod S` left over: where there are any, or where it is the
    only one, it is a part of its own. In each of the `parts` ghosts are of
    equal size. Numbers are plain integers where the batch size is known while
    tracing, else scalar tensors (TensorFlow only), and then a part may be
    empty, which XLA, to which the size is known, sees and removes.
    """

    def __init__(self, shape, ghost_batch_size, axis):
        self.shape = tuple(shape)
        self.ghost_batch_size = ghost_batch_size
        self.axis = axis
        self.batch_size = self.shape[0]
        self.channels = self.shape[axis]
        self.is_static = isinstance(self.batch_size, int)
        least, most = ops.minimum, ops.maximum
        if self.is_static:
            least, most = min, max
        whole = self.batch_size // ghost_batch_size
        rest = self.batch_size % ghost_batch_size
        self.count = most(1, whole)
        of_size = most(whole - least(rest, 1), 0)
        rest = self.batch_size - of_size * ghost_batch_size
        parts = [(of_size, ghost_batch_size), (self.count - of_size, rest)]
        self.parts = [
            EqualGhosts(count, size, self.shape[1:], axis - 1)
            for count, size in parts
            if not (self.is_static and count == 0)
        ]

    def cut(self, x):
        """The samples of each part."""
        return _cut(x, [part.count * part.size for part in self.parts])

    def groups(self):
        """The ghosts that are normalized in one go, and the function that cuts.

        Where a sample has one element of each feature, statistics spread over
        samples would cost as much as the normalization.
        """
        if len(self.parts) == 1 or len(self.shape) == 2:
            return self.parts, self.cut
        return [UnequalGhosts(self)], lambda x: [x]


class EqualGhosts:
    """`count` ghosts of `size` samples of shape `(..., C, ...)`.

    `split` gives a view of shape `(count, n, C)`; axes behind the features axis
    are a fourth one. Sums over ghosts are of shape `(count, 1, C)` or
    `(count, 1, C, 1)`. Merging the reduced axes into one makes XLA reduce them
    in one pass over the input, without a copy.
    """

    def __init__(self, count, size, shape, axis):
        self.count, self.size, self.shape = count, size, shape
        self.channels = shape[axis]
        before = math.prod(shape[:axis])
        after = math.prod(shape[axis + 1 :])
        self._after = () if axis == len(shape) - 1 else (after,)
        self._view = (count, size * before, self.channels, *self._after)
        self._per_sample = before * after

    def split(self, x):
        """The input, in the view in which it is summed."""
        return ops.reshape(x, self._view)

    def join(self, y):
        """Undoes `split`."""
        return ops.reshape(y, (-1, *self.shape))

    def sum(self, x):
        """Sums a split input over each ghost batch."""
        return ops.sum(x, axis=[1, 3] if self._after else 1, keepdims=True)

    def spread(self, values):
        """Values of each ghost, in a shape that broadcasts to a split input."""
        return values

    def elements(self, dtype):
        """Elements of each ghost and feature, in a shape like that of sums."""
        elements = ops.cast(self.size, dtype) * self._per_sample
        return ops.broadcast_to(
            elements, (self.count, 1, 1, *(1 for _ in self._after))
        )

    def expand(self, values):
        """Values of shape `(C,)`, in a shape that broadcasts to sums."""
        return ops.reshape(
            values, (1, 1, self.channels, *(1 for _ in self._after))
        )

    def rows(self, values):
        """Values in the shape of sums, as `(count, C)`."""
        return ops.reshape(values, (self.count, self.channels))


class UnequalGhosts(EqualGhosts):
    """All ghosts of a batch together, where the last is of another size.

    The view is of shape `(B, n, C)`. Inputs are summed sample by sample first,
    and only the small result is cut.
    """

    def __init__(self, ghosts):
        shape = ghosts.shape[1:]
        super().__init__(ghosts.batch_size, 1, shape, ghosts.axis - 1)
        self.count = ghosts.count
        self._parts, self._cut = ghosts.parts, ghosts.cut

    def sum(self, x):
        sums = []
        samples = self._cut(super().sum(x))
        for part, x in zip(self._parts, samples, strict=True):
            x = ops.reshape(x, (part.count, part.size, *x.shape[1:]))
            sums.append(ops.sum(x, axis=1))
        return _merge(sums)

    def spread(self, values):
        spread = []
        rows = _cut(values, [part.count for part in self._parts])
        for part, x in zip(self._parts, rows, strict=True):
            shape = x.shape[1:]
            x = ops.expand_dims(x, 1)
            x = ops.broadcast_to(x, (part.count, part.size, *shape))
            spread.append(ops.reshape(x, (part.count * part.size, *shape)))
        return _merge(spread)

    def elements(self, dtype):
        return _merge([part.elements(dtype) for part in self._parts])


def _cut(x, sizes):
    """Cuts along the first axis."""
    if len(sizes) == 1:
        return [x]
    if isinstance(sizes[0], int):
        return ops.split(x, [sizes[0]])
    import tensorflow as tf

    return tf.split(x, sizes)


def _merge(values):
    """Undoes `_cut`."""
    return values[0] if len(values) == 1 else ops.concatenate(values)


def ghost_normalize(x, ghosts, epsilon, gamma, beta, mask=None):
    """Normalizes each ghost batch by its own mean and biased variance.

    Of `x` of shape `(B, ...)`, in float32 or float64, and gamma and beta of
    shape `(C,)`, it gives `y`, and the means and variances, of shape `(q, C)`.
    """
    if mask is None and can_fuse(x, ghosts):
        return fused_normalize(x, ghosts, epsilon, gamma, beta)
    return normalize_in_ops(x, ghosts, epsilon, gamma, beta, mask)


def normalize_in_ops(x, ghosts, epsilon, gamma, beta, mask=None):
    """`ghost_normalize` in operations, with derivatives in closed form.

    With `n` elements in a ghost, `z = (x - mu) / sigma`, `dy` the gradient with
    regard to `y`, and `x'` a tangent,

    ```
    dx = gamma / sigma * (dy - sum(dy) / n - z * sum(dy * z) / n)
    dgamma = sum(dy * z),  dbeta = sum(dy)
    y' = gamma / sigma * (x' - sum(x') / n - z * sum(x' * z) / n)
         + z * gamma' + beta'
    ```

    which takes fewer passes over the large tensors than what automatic
    differentiation finds. Both can be differentiated again.
    """
    groups, cut = ghosts.groups()
    inputs = [cut(x)]
    if mask is not None:
        mask = ops.broadcast_to(ops.expand_dims(mask, -1), ops.shape(x))
        inputs.append(cut(ops.cast(ops.cast(mask, "bool"), x.dtype)))
    make = _with_tangent
    if keras.backend.backend() != "jax":
        make = _with_gradient
    results = []
    for group, x, *weights in zip(groups, *inputs, strict=True):
        y, mean, variance = make(group, epsilon)(
            group.split(x),
            group.expand(gamma),
            group.expand(beta),
            *map(group.split, weights),
        )
        results.append((group.join(y), group.rows(mean), group.rows(variance)))
    return tuple(map(_merge, zip(*results, strict=True)))


def _with_gradient(ghosts, epsilon):
    """The normalization of a split input, with its gradient."""

    def moments(x, *weights):
        count = _count(x, ghosts, *weights)
        mean = ghosts.sum(_counted(x, *weights)) / count
        centred = x - ghosts.spread(mean)
        squares = ghosts.sum(ops.square(_counted(centred, *weights)))
        return mean, squares / count, centred, count

    @ops.custom_gradient
    def normalize(x, gamma, beta, *weights):
        mean, variance, centred, _ = moments(x, *weights)
        scale = gamma * ops.rsqrt(variance + epsilon)
        y = centred * ghosts.spread(scale) + beta

        def gradient(*upstream):
            dy = keras.tree.flatten(upstream)[0]
            # Taken from `x` once more, so that the dependence on it is there
            # for a second differentiation. A compiler sees the repetition.
            _, variance, centred, count = moments(x, *weights)
            inverse = ops.rsqrt(variance + epsilon)
            dbeta = ghosts.sum(dy)
            dgamma = ghosts.sum(dy * centred) * inverse
            scale = gamma * inverse
            through_statistics = _counted(
                centred * ghosts.spread(scale * inverse * dgamma / count)
                + ghosts.spread(scale * dbeta / count),
                *weights,
            )
            dx = dy * ghosts.spread(scale) - through_statistics
            dgamma = ops.sum(dgamma, axis=0, keepdims=True)
            dbeta = ops.sum(dbeta, axis=0, keepdims=True)
            return dx, dgamma, dbeta, *map(ops.zeros_like, weights)

        return (y, mean, variance), gradient

    return normalize


def _with_tangent(ghosts, epsilon):
    """The normalization of a split input, with its tangent (JAX only).

    Transposed by JAX, the tangent is the gradient in closed form. Each
    difference `x - mean` that is reduced is written in another way, and small
    results are kept apart by barriers: XLA would otherwise compute the
    difference once and store it, which takes longer than all of the
    arithmetic, and would merge reductions with what follows from them.
    """
    import jax

    barrier = jax.lax.optimization_barrier

    @jax.custom_jvp
    def normalize(x, gamma, beta, *weights):
        count = _count(x, ghosts, *weights)
        mean = barrier(ghosts.sum(_counted(x, *weights)) / count)
        centred = _counted(x + ghosts.spread(barrier(-mean)), *weights)
        variance = barrier(ghosts.sum(ops.square(centred)) / count)
        scale = barrier(gamma * ops.rsqrt(variance + epsilon))
        y = (x - ghosts.spread(mean)) * ghosts.spread(scale) + beta
        return y, mean, variance

    @normalize.defjvp
    def tangent(primals, tangents):
        x, gamma, _, *weights = primals
        dx, dgamma, dbeta = tangents[:3]
        y, mean, variance = normalize(*primals)
        count = _count(x, ghosts, *weights)
        inverse = ops.rsqrt(variance + epsilon)
        scale = gamma * inverse
        counted = _counted(dx, *weights)
        dmean = barrier(ghosts.sum(counted)) / count
        product = (x - ghosts.spread(mean)) * counted
        half_dvariance = barrier(ghosts.sum(product)) / count
        slope = barrier(scale * inverse**2 * half_dvariance - inverse * dgamma)
        offset = barrier(dbeta - scale * dmean)
        dy = (
            ghosts.spread(barrier(scale)) * dx
            + ghosts.spread(offset)
            + (ghosts.spread(barrier(mean)) - x) * ghosts.spread(slope)
        )
        return (y, mean, variance), (dy, dmean, 2 * half_dvariance)

    return normalize


def _count(x, ghosts, *weights):
    """Elements that count in each ghost, at least 1."""
    if weights:
        return ops.maximum(ghosts.sum(weights[0]), 1)
    return ops.maximum(ghosts.elements(x.dtype), 1)


def _counted(x, *weights):
    """`x` where the mask lets it count, else 0, also for NaN."""
    return ops.where(weights[0] > 0, x, 0) if weights else x


def can_fuse(x, ghosts):
    """Whether TensorFlow's fused kernel takes this input, and is worth it."""
    # XLA fuses plain operations by itself, and on a GPU many small launches
    # would undo the gain.
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    per_ghost = ghosts.ghost_batch_size * math.prod(ghosts.shape[1:])
    return (
        x.dtype == tf.float32
        and ghosts.axis == len(x.shape) - 1
        and (not isinstance(per_ghost, int) or per_ghost >= WORTHWHILE)
        and not in_xla()
        and not tf.config.list_physical_devices("GPU")
    )


def in_xla():
    """Whether the TensorFlow function being traced is compiled by XLA."""
    import tensorflow as tf

    # TensorFlow publishes no way to ask (checked on 2.21).
    from tensorflow.python.ops import control_flow_util

    return control_flow_util.GraphOrParentsInXlaContext(
        tf.compat.v1.get_default_graph()
    )


def fused_normalize(x, ghosts, epsilon, gamma, beta):
    """`ghost_normalize` by TensorFlow's fused kernel, a ghost at a time."""
    # One ghost batch fits the processor's cache where the batch does not, and
    # the kernel reads its input less often than separate operations do. The
    # statistics carry no gradient.
    import tensorflow as tf

    # The kernel insists on four axes.
    images = tf.reshape(
        x, [ghosts.batch_size, math.prod(ghosts.shape[1:-1]), 1, x.shape[-1]]
    )
    as_images = GhostBatches(ops.shape(images), ghosts.ghost_batch_size, 3)

    @tf.custom_gradient
    def normalize(images, gamma, beta):
        y, statistics = _fused_forward(images, gamma, beta, ghosts, epsilon)

        @tf.custom_gradient
        def differentiate(images, gamma, beta, dy):
            def second_order(*upstream):
                # The kernel's gradient has no gradient of its own.
                return _differentiate_gradient(
                    images, gamma, beta, dy, upstream, as_images, epsilon
                )

            gradients = _fused_backward(
                images, gamma, dy, statistics, ghosts, epsilon
            )
            return gradients, second_order

        def gradient(dy, *_):
            return differentiate(images, gamma, beta, dy)

        return (y, statistics[:, 0], statistics[:, 1]), gradient

    y, means, variances = normalize(images, gamma, beta)
    # The kernel divides the squares by n - 1.
    n = _merge([part.elements(x.dtype)[:, 0] for part in ghosts.parts])
    variances *= tf.maximum(n - 1, 1) / tf.maximum(n, 1)
    return tf.reshape(y, ghosts.shape), means, variances


def _differentiate_gradient(x, gamma, beta, dy, upstream, ghosts, epsilon):
    """Gradients of `<a, dx> + <g, dgamma> + <b, dbeta>`, `upstream = a, g, b`.

    With `P(u) = u - mean(u) - z * mean(u * z)`, so that
    `dx = gamma / sigma * P(dy)`, with `d = <a, P(dy)>` and
    `h = g * dy - gamma / sigma * (a * mean(dy * z) + dy * mean(a * z))`, they
    are, in no need of a tape (forward mode has stopped recording here),

    ```
    for x:      P(h) / sigma - gamma * d * z / (n * sigma^2)
    for gamma:  d / sigma, over all ghosts
    for dy:     gamma / sigma * P(a) + g * z + b
    ```
    """
    # In forward mode some of the results are not asked for.
    a, g, b = (
        ops.zeros_like(tensor) if u is None else u
        for u, tensor in zip(upstream, (x, gamma, beta), strict=True)
    )
    cut = map(ghosts.cut, (x, dy, a))
    parts = [
        _differentiate_part(part, epsilon, gamma, g, b, *tensors)
        for part, *tensors in zip(ghosts.parts, *cut, strict=True)
    ]
    for_x, for_gamma, for_dy = zip(*parts, strict=True)
    return (
        _merge(for_x),
        sum(for_gamma),
        ops.zeros_like(beta),
        _merge(for_dy),
    )


def _differentiate_part(ghosts, epsilon, gamma, g, b, x, dy, a):
    """The gradients for `x`, gamma and `dy` of ghosts of equal size."""
    x, dy, a = map(ghosts.split, (x, dy, a))
    scale, g, b = map(ghosts.expand, (gamma, g, b))
    count = _count(x, ghosts)

    def mean(u):
        return ghosts.sum(u) / count

    def project(u):
        return u - mean(u) - z * mean(u * z)

    centred = x - mean(x)
    inverse = ops.rsqrt(mean(ops.square(centred)) + epsilon)
    z = centred * inverse
    scale = scale * inverse
    projected = project(a)
    d = ghosts.sum(projected * dy)
    h = g * dy - a * (scale * mean(dy * z)) - dy * (scale * mean(a * z))
    for_x = project(h) * inverse
    for_x = for_x - z * (scale * inverse * d / count)
    for_gamma = ops.sum(ghosts.rows(d * inverse), axis=0)
    for_dy = projected * scale + g * z + b
    return ghosts.join(for_x), for_gamma, ghosts.join(for_dy)


def _fused_forward(images, gamma, beta, ghosts, epsilon):
    """The outputs, and per ghost the kernel's four `(C,)` results, stacked."""
    import tensorflow as tf

    def step(i, ys, statistics):
        y, *results = tf.raw_ops.FusedBatchNormV3(
            x=_ghost(images, ghosts, i),
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


def _fused_backward(images, gamma, dy, statistics, ghosts, epsilon):
    """Gradients with regard to images, gamma and beta."""
    import tensorflow as tf

    def step(i, dxs, dgamma, dbeta):
        dx, dgamma_i, dbeta_i, *_ = tf.raw_ops.FusedBatchNormGradV3(
            y_backprop=_ghost(dy, ghosts, i),
            x=_ghost(images, ghosts, i),
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


def _ghost(images, ghosts, i):
    """Ghost batch `i`."""
    import tensorflow as tf

    start = i * ghosts.ghost_batch_size
    is_last = i == ghosts.count - 1
    stop = start + ghosts.ghost_batch_size
    stop = tf.where(is_last, ghosts.batch_size, stop)
    return images[start:stop]


def _array(ghosts, element_shape):
    """An array of one tensor a ghost."""
    import tensorflow as tf

    return tf.TensorArray(
        tf.float32,
        size=ghosts.count,
        infer_shape=False,
        element_shape=element_shape,
    )
