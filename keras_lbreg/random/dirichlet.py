"""Symmetric Dirichlet weights without state, loops or a gamma operation."""

import keras
import numpy as np

from keras_lbreg.random.bits_to_floats import box_muller, uniform
from keras_lbreg.random.threefry import threefry2x32

# A proposal is accepted with probability >= 0.95 for every shape >= 1, so all
# eight fail once in 10^10 gamma numbers; the mode of the law stands in then.
_PROPOSALS = 8


def dirichlet(key, groups, concentration, stream, xp=keras.ops):
    """Draws `w ~ Dirichlet(c, ..., c)` over `groups` weights.

    `w = softmax(log G_k)` with `G_k ~ Gamma(c)`, drawn by Marsaglia and Tsang's
    method from a fixed number of proposals: there is no data-dependent loop and
    no gamma operation, which XLA lacks. All is done with logarithms: at
    `c = 0.01` most `G_k` underflow float32, their logarithms do not; and at
    `c = 1e6` the weights keep their small differences.

    Args:
        key: Pair of `uint32` arrays of shape `(1,)`, from `make_key`.
        groups: Integer, the number of weights K.
        concentration: Positive float c. 1 is uniform on the simplex, large
            values tend to equal weights, small ones to one single weight.
        stream: Integer that keeps these bits apart from others of the key.
        xp: Module that computes: `keras.ops` or `numpy`.

    Returns:
        `float32` array of shape `(groups,)` that sums to one.

    Example:

    >>> key = make_key(seed=1, step=0, xp=np)
    >>> dirichlet(key, groups=4, concentration=1.0, stream=0, xp=np)

    Reference:

    - [Marsaglia and Tsang, 2000](https://doi.org/10.1145/358407.358414)
    """
    # Gamma(c) = Gamma(c + 1) U^(1/c) brings every c into the method's range.
    d = concentration + 2.0 / 3.0
    proposals = _PROPOSALS * groups
    u, v, accept, boost = _uniforms(
        key, (proposals, proposals, proposals, groups), stream, xp
    )
    x, _ = box_muller(u, v, xp)
    y = xp.multiply(x, np.float32(1.0 / np.sqrt(9.0 * d)))
    possible = xp.greater(y, np.float32(-1.0))
    y = xp.where(possible, y, np.float32(0.0))
    log_ratio = xp.multiply(np.float32(3.0), xp.log1p(y))
    # d (1 - V + log V) for V = (1 + y)^3, written so that nothing large
    # cancels when d is large and y small.
    v_minus_one = y * (np.float32(3.0) + y * (np.float32(3.0) + y))
    bound = np.float32(0.5) * x * x + np.float32(d) * (log_ratio - v_minus_one)
    accepted = xp.logical_and(possible, xp.less(xp.log(accept), bound))

    accepted = xp.reshape(accepted, (_PROPOSALS, groups))
    log_ratio = xp.reshape(log_ratio, (_PROPOSALS, groups))
    log_gamma = xp.zeros((groups,), dtype="float32")
    for proposal in reversed(range(_PROPOSALS)):
        log_gamma = xp.where(accepted[proposal], log_ratio[proposal], log_gamma)
    # log d is common to all weights and cancels in the softmax.
    logits = log_gamma + xp.log(boost) * np.float32(1.0 / concentration)
    weights = xp.exp(logits - xp.max(logits))
    return weights / xp.sum(weights)


def _uniforms(key, sizes, stream, xp):
    """Uniform numbers in blocks of the given sizes, from one encryption."""
    pairs = (sum(sizes) + 1) // 2
    counter = (
        np.arange(pairs, dtype="uint32"),
        np.full((pairs,), stream, dtype="uint32"),
    )
    numbers = uniform(xp.concatenate(threefry2x32(key, counter, xp)), xp)
    blocks, start = [], 0
    for size in sizes:
        blocks.append(numbers[start : start + size])
        start += size
    return blocks
