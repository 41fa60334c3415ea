"""The random weights with which the gradients of K groups are mixed."""

import itertools

import keras
import numpy as np

from keras_lbreg.checks import (
    check_choice,
    check_non_negative_number,
    check_positive_number,
)
from keras_lbreg.random.counter_based import (
    box_muller,
    counters,
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
    """Draws the K weights `w_k` of one optimizer update, in float32.

    - `"dirichlet"`: `w ~ Dirichlet(c, ..., c)`; convex, `E[w_k] = 1/K`,
      `Var[w_k] = (K - 1) / (K^2 (K c + 1))`.
    - `"gaussian"`: `K w_k = z_k ~ N(1, s^2)`, independent; not convex,
      `E[w_k] = 1/K`, `Var[w_k] = s^2 / K^2`.

    They are a function of `(seed, step)` alone. The Gaussian law, whose weights
    do not sum to one, is that of `mix_sample_weights` alone: a regularizer has
    no part in sample weights, while mixed gradients contain its own.
    """
    check_mixing_law(law, concentration, stddev)
    key = make_key(seed, step, xp)
    if law == "dirichlet":
        return dirichlet(key, groups, concentration, _STREAM, xp)
    words = threefry2x32(key, counters(range(groups), _STREAM), xp)
    normal, _ = box_muller(*(uniform(bits, xp) for bits in words), xp)
    z = np.float32(1.0) + np.float32(stddev) * normal
    return z * np.float32(1.0 / groups)


def check_mixing_law(law, concentration, stddev):
    """Raises a `ValueError` unless the arguments name a mixing law."""
    check_choice("law", law, LAWS)
    check_positive_number("concentration", concentration)
    check_non_negative_number("stddev", stddev)


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
    pairs = counters(range((sum(sizes) + 1) // 2), stream)
    numbers = uniform(xp.concatenate(threefry2x32(key, pairs, xp)), xp)
    ends = itertools.accumulate(sizes)
    return [numbers[e - size : e] for e, size in zip(ends, sizes, strict=True)]
