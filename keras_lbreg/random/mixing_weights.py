"""The random weights with which the gradients of K groups are mixed."""

import numbers

import keras
import numpy as np

from keras_lbreg.random.counter_based import (
    box_muller,
    make_key,
    threefry2x32,
    uniform,
)

LAWS = ("dirichlet", "gaussian")
_STREAM = 1
# A proposal is accepted with probability >= 0.95 for every shape >= 1, so all
# eight fail once in 10^10 gamma numbers; the mode of the law stands in then.
_PROPOSALS = 8


def mixing_weights(
    seed,
    step,
    groups,
    law="dirichlet",
    concentration=1.0,
    stddev=1.0,
    xp=keras.ops,
):
    """Draws the weights `w_k` of one optimizer update.

    - `"dirichlet"`: `w ~ Dirichlet(c, ..., c)`; convex, `E[w_k] = 1/K`,
      `Var[w_k] = (K - 1) / (K^2 (K c + 1))`.
    - `"gaussian"`: `K w_k = z_k ~ N(1, s^2)`, independent; not convex,
      `E[w_k] = 1/K`, `Var[w_k] = s^2 / K^2`.

    The weights are a function of `(seed, step)` alone. `GradientMix`,
    `GradientMixCrossDeviceOps` and `mix_sample_weights` all call this function
    and therefore agree. The Gaussian law, whose weights do not sum to one, is
    that of `mix_sample_weights` alone: a regularizer has no part in sample
    weights, while mixed gradients contain its own.

    Args:
        seed: Non-negative integer below 2**31, or an integer tensor.
        step: Number of completed updates, an integer or an integer tensor.
        groups: Integer, the number of weights K.
        law: `"dirichlet"` or `"gaussian"`.
        concentration: Positive float c of the Dirichlet law.
        stddev: Non-negative float s of the Gaussian law.
        xp: Module that computes: `keras.ops`, or `numpy` for input pipelines.

    Returns:
        `float32` array of shape `(groups,)`.

    Raises:
        ValueError: If an argument is outside of its range.

    Example:

    >>> mixing_weights(seed=1, step=0, groups=4, xp=np)

    Reference:

    - [Zhang et al., 2018](https://arxiv.org/abs/1710.09412), for K = 2
    - [Hoffer et al., 2017](https://arxiv.org/abs/1705.08741), Gaussian law
    """
    check_mixing_law(law, concentration, stddev)
    key = make_key(seed, step, xp)
    if law == "dirichlet":
        return dirichlet(key, groups, concentration, _STREAM, xp)
    counter = (
        np.arange(groups, dtype="uint32"),
        np.full((groups,), _STREAM, dtype="uint32"),
    )
    u, v = (uniform(bits, xp) for bits in threefry2x32(key, counter, xp))
    normal, _ = box_muller(u, v, xp)
    z = np.float32(1.0) + np.float32(stddev) * normal
    return z * np.float32(1.0 / groups)


def check_mixing_law(law, concentration, stddev):
    """Raises a `ValueError` unless the arguments name a mixing law."""
    if law not in LAWS:
        raise ValueError(
            f"Invalid value for argument `law`. Expected one of {LAWS}. "
            f"Received: law={law!r}"
        )
    check_concentration(concentration)
    if not (_is_finite(stddev) and stddev >= 0):
        raise ValueError(
            "Invalid value for argument `stddev`. Expected a finite number "
            f">= 0. Received: stddev={stddev!r}"
        )


def check_concentration(concentration):
    """Raises a `ValueError` unless it is a positive finite number."""
    if not (_is_finite(concentration) and concentration > 0):
        raise ValueError(
            "Invalid value for argument `concentration`. Expected a positive "
            "finite number; for plain averaging leave the mixing out. "
            f"Received: concentration={concentration!r}"
        )


def dirichlet(key, groups, concentration, stream, xp=keras.ops):
    """Draws `w ~ Dirichlet(c, ..., c)` over `groups` weights, in float32.

    `w = softmax(log G_k)` with `G_k ~ Gamma(c)`, drawn by Marsaglia and Tsang's
    method from a fixed number of proposals: there is no data-dependent loop and
    no gamma operation, which XLA lacks. All is done with logarithms: at
    `c = 0.01` most `G_k` underflow float32, their logarithms do not; and at
    `c = 1e6` the weights keep their small differences.
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


def _is_finite(value):
    # NumPy's scalars are numbers, too.
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return is_number and bool(np.isfinite(value))
