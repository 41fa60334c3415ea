"""The random weights with which the gradients of K groups are mixed."""

import numbers

import keras
import numpy as np

from keras_lbreg.random.bits_to_floats import box_muller, uniform
from keras_lbreg.random.dirichlet import dirichlet
from keras_lbreg.random.threefry import make_key, threefry2x32

LAWS = ("dirichlet", "gaussian")
_STREAM = 1


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


def _is_finite(value):
    # NumPy's scalars are numbers, too.
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return is_number and bool(np.isfinite(value))
