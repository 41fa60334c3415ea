"""Smoothed noise and signal of the gradient, and their ratio."""

import numpy as np

from keras_lbreg.models.noise_scale import noise_and_signal, noise_scale_of


class NoiseScaleAverage:
    """Averages S and |G|^2 each for itself, and divides.

    ```
    m_n      = d m_(n-1) + (1 - d) value_n
    smoothed = m_n / (1 - d^n)
    ```

    Args:
        small_batch: B_s.
        big_batch: B_b.
        decay: d, at least 0 and below 1.

    Attributes:
        updates: Update numbers of the measurements, increasing.
        noises: S of each.
        signals: |G|^2 of each.
        noise_scales: The ratio of the averages after each.

    Raises:
        ValueError: `decay` is out of its range.

    Example:

    >>> average = NoiseScaleAverage(4, 32, decay=0.8)
    >>> average.add(1, (8.0, 3.625))
    >>> average.smoothed()
    (20.0, 3.0, 6.666666666666667)

    Reference:

    - [McCandlish et al., 2018](https://arxiv.org/abs/1812.06162), Appendix A.1
    """

    def __init__(self, small_batch, big_batch, decay):
        if isinstance(decay, bool) or not 0 <= decay < 1:
            raise ValueError(
                "Invalid value for argument `decay`. Expected a number of at "
                f"least 0 and below 1. Received: decay={decay!r}"
            )
        self.small_batch = small_batch
        self.big_batch = big_batch
        self.decay = decay
        self.updates = []
        self.noises = []
        self.signals = []
        self.noise_scales = []

    def add(self, update, squares):
        """Takes the mean |G_s|^2 and |G_b|^2 measured after an update."""
        noise, signal = noise_and_signal(
            # Python's numbers: NumPy's warn where a gradient overflowed.
            tuple(map(float, squares)),
            self.small_batch,
            self.big_batch,
        )
        # Later measurements can only be left from before a rollback.
        keep = int(np.searchsorted(self.updates, update))
        self.updates = [*self.updates[:keep], int(update)]
        self.noises = [*self.noises[:keep], noise]
        self.signals = [*self.signals[:keep], signal]
        self.noise_scales = self.noise_scales[:keep]
        self.noise_scales.append(self.smoothed()[2])

    def smoothed(self):
        """The averages of S and |G|^2 and their ratio, B_simple."""
        weights = self.decay ** np.arange(len(self.updates))[::-1]
        # What is not finite, as an overflow, would stay in the average.
        weights = weights * np.isfinite(self.noises)
        if not weights.any():
            return (float("nan"),) * 3
        noise, signal = (
            float(np.average(np.where(weights, values, 0), weights=weights))
            for values in (self.noises, self.signals)
        )
        return noise, signal, noise_scale_of(noise, signal)

    def get_state(self):
        """The measurements, as a dictionary of numpy arrays."""
        return {
            "updates": np.array(self.updates, "int64"),
            "noises": np.array(self.noises, "float64"),
            "signals": np.array(self.signals, "float64"),
            "noise_scales": np.array(self.noise_scales, "float64"),
        }

    def set_state(self, state):
        """Continues from `get_state()`, or an `np.load` of it."""
        self.updates = state["updates"].tolist()
        self.noises = state["noises"].tolist()
        self.signals = state["signals"].tolist()
        self.noise_scales = state["noise_scales"].tolist()
