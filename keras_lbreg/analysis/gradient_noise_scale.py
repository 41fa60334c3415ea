"""How large a batch is useful: the gradient noise scale."""

import dataclasses

import numpy as np

from keras_lbreg.analysis.loss_surface import LossSurface
from keras_lbreg.checks import (
    check_non_negative_int,
    check_positive_int,
    invalid,
)

# Batches drawn again and again for the confidence interval.
RESAMPLES = 1000


@dataclasses.dataclass(frozen=True)
class NoiseScale:
    """The batch size at which noise and signal of the gradient are equal.

    Args:
        noise_scale: B_simple = S / |G|^2, `inf` where no signal was found.
        low: Lower end of a 90 % bootstrap interval of B_simple.
        high: Its upper end.
        noise: S, the trace of the covariance of one sample's gradient.
        signal: |G|^2, the squared length of the true gradient.
        small_batch: The small batch size.
        big_batch: The big one.
        pairs: Number of big batches.

    Example:

    >>> print(gradient_noise_scale(model, x, y).advice())

    """

    noise_scale: float
    low: float
    high: float
    noise: float
    signal: float
    small_batch: int
    big_batch: int
    pairs: int

    def advice(self):
        """What the number means for the choice of a batch size, in words."""
        return advice(self.noise_scale, self.big_batch, self.low, self.high)


def gradient_noise_scale(
    model,
    x,
    y,
    loss=None,
    small_batch=64,
    big_batch=1024,
    pairs=20,
    seed=0,
    on_progress=None,
    statistics="batch",
):
    """Measure the gradient noise scale of a model on a dataset.

    ```
    |G|^2 = (B_b |G_b|^2 - B_s |G_s|^2) / (B_b - B_s)
    S     = (|G_s|^2 - |G_b|^2) / (1/B_s - 1/B_b)
    B_simple = S / |G|^2
    ```

    Each big batch is drawn without replacement and is cut into small ones, so
    both sizes see the same samples; |G_s|^2 and |G_b|^2 are averaged over all
    of them before the two formulas, which makes S and |G|^2 unbiased for
    samples drawn independently. The interval comes from drawing the big
    batches again with replacement. Memory is that of one gradient and a sum
    of gradients, however many there are.

    The number holds for the weights it is measured at: it grows during
    training, as the signal gets smaller.

    Args:
        model: A built `keras.Model`.
        x: Array of training inputs.
        y: Array of targets.
        loss: A `keras.losses.Loss` or its name. Defaults to the model's.
        small_batch: B_s. Defaults to `64`.
        big_batch: B_b, a multiple of B_s. Defaults to `1024`, or to the
            largest multiple that the data allows.
        pairs: Number of big batches. Defaults to `20`.
        seed: Seed of the drawing.
        on_progress: Optional, called with the number of big batches so far.
        statistics: Of batch normalization. `"batch"` (the default): every small
            batch its own, as in training on replicas or ghost batches of that
            size, and dropout at work, with one mask for all. `"estimate"`:
            inference mode, with statistics that are measured anew at these
            weights on at most 10,000 samples. `"moving"`: inference mode with
            the moving statistics, which lag behind in mid-run and can make the
            noise many times too large or too small. Without batch
            normalization and dropout all three are the same.

    Returns:
        A `NoiseScale`.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> gradient_noise_scale(model, x_train, y_train).noise_scale
    912.4

    Reference:

    - [McCandlish et al., 2018](https://arxiv.org/abs/1812.06162), Appendix A.1
    """
    check_positive_int("pairs", pairs)
    check_positive_int("small_batch", small_batch)
    check_non_negative_int("seed", seed)
    surface = LossSurface(model, x, y, loss, small_batch, statistics)
    big_batch = check_batches(small_batch, big_batch, surface.samples)
    theta = surface.point()
    generator = np.random.default_rng(seed)
    sizes = small_batch, big_batch
    squares = np.empty((pairs, 2))
    for pair in range(pairs):
        squares[pair] = draw_squares(surface, theta, generator, *sizes)
        if on_progress is not None:
            on_progress(pair + 1)
    if not np.all(np.isfinite(squares)):
        raise ValueError(
            "The gradient is not finite at this model's weights. Expected a "
            "model whose training has not diverged."
        )
    noise, signal = noise_and_signal(squares.mean(axis=0), *sizes)
    again = generator.integers(pairs, size=(RESAMPLES, pairs))
    resampled = [
        noise_scale_of(*noise_and_signal(squares[i].mean(axis=0), *sizes))
        for i in again
    ]
    low, high = np.quantile(resampled, [0.05, 0.95], method="lower")
    numbers = (noise_scale_of(noise, signal), low, high, noise, signal)
    return NoiseScale(*map(float, numbers), *sizes, pairs)


def noise_and_signal(squares, small_batch, big_batch):
    """The pair of S and |G|^2 from |G_s|^2 and |G_b|^2; either may be < 0."""
    small, big = squares
    signal = (big_batch * big - small_batch * small) / (big_batch - small_batch)
    noise = (small - big) / (1 / small_batch - 1 / big_batch)
    return noise, signal


def noise_scale_of(noise, signal):
    """B_simple = S / |G|^2; `inf` where no signal was found."""
    return max(float(noise / signal), 0.0) if signal > 0 else float("inf")


def draw_squares(surface, theta, generator, small_batch, big_batch):
    """|G_s|^2 and |G_b|^2 of one big batch, drawn without replacement."""
    drawn = generator.permutation(surface.samples)[:big_batch]
    return surface.squared_gradients(
        theta, np.split(drawn, big_batch // small_batch)
    )


def check_batches(small_batch, big_batch, samples):
    """The big batch that the data allows; raises if it is too small."""
    check_positive_int("small_batch", small_batch)
    check_positive_int("big_batch", big_batch)
    largest = min(big_batch, samples // small_batch * small_batch)
    if largest % small_batch or largest < 2 * small_batch:
        expected = (
            f"a multiple of the small batch, {small_batch}, at least twice it "
            f"and not more than the {samples:,} samples"
        )
        raise invalid("big_batch", expected, big_batch)
    return largest


def advice(noise_scale, big_batch, low=None, high=None):
    """What a noise scale means for the choice of a batch size, in words."""
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
        "batches save few updates."
    )
