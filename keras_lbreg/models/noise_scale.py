"""McCandlish et al.'s noise scale, from the gradients of two batch sizes."""

import numpy as np

from keras_lbreg.checks import check_positive_int


def noise_and_signal(squares, small_batch, big_batch):
    """S and |G|^2 from the mean squared lengths for both batch sizes.

    ```
    |G|^2 = (B_b |G_b|^2 - B_s |G_s|^2) / (B_b - B_s)
    S     = (|G_s|^2 - |G_b|^2) / (1/B_s - 1/B_b)
    ```

    Args:
        squares: The pair of |G_s|^2 and |G_b|^2.
        small_batch: B_s.
        big_batch: B_b.

    Returns:
        The pair of S and |G|^2; either may be negative by chance.

    Example:

    >>> noise_and_signal((3 + 20 / 4, 3 + 20 / 32), 4, 32)
    (20.0, 3.0)

    Reference:

    - [McCandlish et al., 2018](https://arxiv.org/abs/1812.06162), Appendix A.1
    """
    small, big = squares
    signal = (big_batch * big - small_batch * small) / (big_batch - small_batch)
    noise = (small - big) / (1 / small_batch - 1 / big_batch)
    return noise, signal


def noise_scale_of(noise, signal):
    """B_simple = S / |G|^2; `inf` where no signal was found."""
    return max(float(noise / signal), 0.0) if signal > 0 else float("inf")


def draw_squares(surface, theta, generator, small_batch, big_batch):
    """|G_s|^2 and |G_b|^2 of one big batch, drawn without replacement.

    Args:
        surface: A `LossSurface` over the data.
        theta: The point of the parameters.
        generator: A `numpy.random.Generator`.
        small_batch: B_s.
        big_batch: B_b, a multiple of B_s.

    Returns:
        The pair of both, floats.
    """
    drawn = generator.permutation(len(surface.x))[:big_batch]
    return surface.squared_gradients(
        theta, np.split(drawn, big_batch // small_batch)
    )


def check_batches(small_batch, big_batch, samples):
    """The big batch that the data allows; raises if it is too small."""
    check_positive_int("small_batch", small_batch)
    check_positive_int("big_batch", big_batch)
    big_batch = min(big_batch, samples // small_batch * small_batch)
    if big_batch % small_batch or big_batch < 2 * small_batch:
        raise ValueError(
            "Invalid value for argument `big_batch`. Expected a multiple of "
            f"the small batch, {small_batch}, at least twice it and not more "
            f"than the {samples:,} samples. Received: big_batch={big_batch}"
        )
    return big_batch


def advice(noise_scale, big_batch, low=None, high=None):
    """What a noise scale means for the choice of a batch size, in words.

    Args:
        noise_scale: B_simple.
        big_batch: The largest batch it was measured with.
        low: Lower end of its interval, if there is one.
        high: The upper end.

    Returns:
        A few sentences.
    """
    if not np.isfinite(noise_scale):
        return (
            "The gradient is lost in its noise even at batch "
            f"{big_batch:,}: B_simple is larger than what these measurements "
            "can show. Larger batches still pay here."
        )
    interval = "" if low is None else f" ({low:,.0f} to {high:,.0f})"
    return (
        f"B_simple is about {noise_scale:,.0f} here{interval}. Well below it, "
        "twice the batch nearly halves the number of updates; at it, the "
        "number of updates is twice the least possible; far beyond it, larger "
        "batches buy little."
    )
