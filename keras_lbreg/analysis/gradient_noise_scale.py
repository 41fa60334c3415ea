"""How large a batch is useful: the gradient noise scale."""

import dataclasses

import numpy as np

from keras_lbreg.analysis.loss_surface import LossSurface
from keras_lbreg.checks import check_positive_int

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

    Reference: `gradient_noise_scale`.
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
        if not np.isfinite(self.noise_scale):
            return (
                "The gradient is lost in its noise even at batch "
                f"{self.big_batch}: B_simple is larger than what "
                f"{self.pairs} batches of this size can show. Larger batches "
                "still pay here."
            )
        return (
            f"B_simple is about {self.noise_scale:,.0f} here "
            f"({self.low:,.0f} to {self.high:,.0f}). Well below it, twice the "
            "batch nearly halves the number of updates; at it, the number of "
            "updates is twice the least possible; far beyond it, larger "
            "batches buy little."
        )


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
    batches again with replacement.

    The number holds for the weights it is measured at: it grows during
    training, as the signal gets smaller.

    Args:
        model: A built `keras.Model`, in inference mode (see `LossSurface`).
        x: Array of training inputs.
        y: Array of targets.
        loss: A `keras.losses.Loss` or its name. Defaults to the model's.
        small_batch: B_s. Defaults to `64`.
        big_batch: B_b, a multiple of B_s. Defaults to `1024`, or to the
            largest multiple that the data allows.
        pairs: Number of big batches. Defaults to `20`.
        seed: Seed of the drawing.
        on_progress: Optional, called with the number of big batches so far.

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
    check_positive_int("big_batch", big_batch)
    big_batch = min(big_batch, len(x) // small_batch * small_batch)
    if big_batch % small_batch or big_batch < 2 * small_batch:
        raise ValueError(
            "Invalid value for argument `big_batch`. Expected a multiple of "
            f"the small batch, {small_batch}, at least twice it and not more "
            f"than the {len(x)} samples. Received: big_batch={big_batch}"
        )
    surface = LossSurface(model, x, y, loss, batch_size=small_batch)
    theta = surface.point()
    generator = np.random.default_rng(seed)
    squares = np.empty((pairs, 2))
    for pair in range(pairs):
        drawn = generator.permutation(len(x))[:big_batch]
        gradients = [
            surface.gradient_of(theta, part)
            for part in np.split(drawn, big_batch // small_batch)
        ]
        squares[pair, 0] = np.mean([g @ g for g in gradients])
        mean = np.mean(gradients, axis=0)
        squares[pair, 1] = mean @ mean
        if on_progress is not None:
            on_progress(pair + 1)
    if not np.all(np.isfinite(squares)):
        raise ValueError(
            "The gradient is not finite at this model's weights. Expected a "
            "model whose training has not diverged."
        )
    noise, signal = noise_and_signal(
        squares.mean(axis=0), small_batch, big_batch
    )
    again = generator.integers(pairs, size=(RESAMPLES, pairs))
    resampled = [
        ratio(*noise_and_signal(squares[index].mean(0), small_batch, big_batch))
        for index in again
    ]
    low, high = np.quantile(resampled, [0.05, 0.95], method="lower")
    return NoiseScale(
        ratio(noise, signal),
        float(low),
        float(high),
        float(noise),
        float(signal),
        small_batch,
        big_batch,
        pairs,
    )


def noise_and_signal(squares, small_batch, big_batch):
    """S and |G|^2 from the mean squared lengths for both batch sizes."""
    small, big = squares
    signal = (big_batch * big - small_batch * small) / (big_batch - small_batch)
    noise = (small - big) / (1 / small_batch - 1 / big_batch)
    return noise, signal


def ratio(noise, signal):
    return float(noise / signal) if signal > 0 else float("inf")
