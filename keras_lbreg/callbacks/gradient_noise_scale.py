"""How large a batch is useful, watched while training goes on."""

import keras
import numpy as np

from keras_lbreg.analysis.gradient_noise_scale import (
    advice,
    check_batches,
    draw_squares,
    noise_and_signal,
    noise_scale_of,
)
from keras_lbreg.analysis.loss_surface import LossSurface, check_statistics
from keras_lbreg.callbacks.weight_distance import iterations_of
from keras_lbreg.checks import check_fraction, check_positive_int
from keras_lbreg.optimizers.gradient_mix import GradientMix
from keras_lbreg.optimizers.squared_gradients import SquaredGradients


class GradientNoiseScale(keras.callbacks.Callback):
    """Measures the gradient noise scale of the weights as they change.

    The squared lengths of the gradients of two batch sizes give, without bias,

    ```
    |G|^2 = (B_b |G_b|^2 - B_s |G_s|^2) / (B_b - B_s)
    S     = (|G_s|^2 - |G_b|^2) / (1/B_s - 1/B_b)
    ```

    Single values scatter widely, so that each of the two is smoothed for
    itself before they are divided:

    ```
    m_n      = d m_(n-1) + (1 - d) value_n
    smoothed = m_n / (1 - d^n)
    B_simple = smoothed S / smoothed |G|^2
    ```

    Far below B_simple, twice the batch nearly halves the number of updates;
    far above, larger batches save few updates. It grows while a model is
    trained, and the average is late by about `1 / (1 - d)` measurements.

    The lengths come from one of two places:

    - **From `data`**, on every backend, one device and any strategy. At the end
      of an epoch, or every so many updates, a few big batches are drawn from it
      and cut into small ones. The gradients are extra ones, of
      `pairs * big_batch` samples each time: 8 % more work at the defaults and
      once in an epoch of 50,000 samples. Sample weights, regularizers,
      `add_loss`, augmentation and clipping are left out.
    - **From the replicas of a `tf.distribute` strategy**, without `data`: each
      replica's gradient is that of a small batch, and their mean that of the
      big one. The optimizer has to be wrapped in
      `keras_lbreg.SquaredGradients`, which costs next to nothing, looks at
      every update, and sees the gradients as they are in training. A last batch
      with fewer samples than the others counts as if it had as many.

    The epoch's logs get the smoothed values as `gradient_noise_scale`,
    `gradient_noise` (S) and `gradient_signal` (|G|^2), so that `History`, and
    a `CSVLogger` or `TensorBoard` *after* this callback in the list, record
    them.

    To continue in another process, save `get_state()` beside the model and
    hand it to `set_state` before `fit`. What is drawn depends on `seed` and
    the number of the update alone: a run that goes on measures the same.

    Args:
        data: Pair `(x, y)` of arrays, of training data as `fit` gets them, or
            `None` (the default) to measure the replicas' gradients.
        small_batch: B_s, without `data` the number of samples that each
            replica gets. Defaults to `32`.
        big_batch: B_b, a multiple of B_s. Defaults to `1024`, or to the
            largest multiple that the data allows. Without `data` it is not
            used: the big batch is that of all replicas.
        pairs: Number of big batches for each measurement. Defaults to `4`.
        frequency: `"epoch"`, measure at the end of every epoch, or a number
            of updates. Defaults to `"epoch"`.
        decay: d, at least 0 and below 1; 0 does not smooth. Defaults to `0.8`.
        seed: Integer, the seed of the drawing. Defaults to `0`.
        statistics: Of batch normalization, with `data`: `"batch"` (the
            default), `"estimate"` or `"moving"`, as in
            `keras_lbreg.analysis.gradient_noise_scale`.

    Attributes:
        updates: List of the update numbers of the measurements, increasing.
        noises: List of the S measured, not smoothed.
        signals: List of the |G|^2 measured, not smoothed.
        noise_scales: List of the smoothed B_simple, `inf` where the smoothed
            |G|^2 is not above 0.

    Raises:
        ValueError: An argument is out of its range; when `fit` begins without
            `data`, there is one replica, no `SquaredGradients`, or a
            `GradientMix`.

    Example:

    >>> noise = keras_lbreg.GradientNoiseScale((x_train, y_train))
    >>> history = model.fit(x_train, y_train, epochs=10, callbacks=[noise])
    >>> history.history["gradient_noise_scale"]
    >>> print(noise.advice())

    Reference:

    - [McCandlish et al., 2018](https://arxiv.org/abs/1812.06162), Appendix A.1
    """

    def __init__(
        self,
        data=None,
        small_batch=32,
        big_batch=1024,
        pairs=4,
        frequency="epoch",
        decay=0.8,
        seed=0,
        statistics="batch",
    ):
        super().__init__()
        self.x, self.y = (None, None) if data is None else check_pair(data)
        check_positive_int("small_batch", small_batch)
        if data is not None:
            big_batch = check_batches(small_batch, big_batch, len(self.x))
        self.small_batch = small_batch
        self.big_batch = big_batch
        check_positive_int("pairs", pairs)
        if frequency != "epoch":
            check_positive_int("frequency", frequency, "'epoch' or an integer")
        self.pairs = pairs
        self.frequency = frequency
        check_fraction("decay", decay)
        self.decay = decay
        self.seed = seed
        check_statistics(statistics)
        self.statistics = statistics
        self.updates = []
        self.noises = []
        self.signals = []
        self.noise_scales = []
        self._surface = None
        self._replicas = None
        self._epoch_start = 0
        self._next_update = 0

    def on_train_begin(self, logs=None):
        # Made anew: this `fit` may train other variables or another loss.
        self._surface = None
        if self.x is None:
            self._replicas = find_squared_gradients(self.model)
            # What an earlier `fit` without this callback has left.
            self._replicas.take_squares()
            count = self.model.distribute_strategy.num_replicas_in_sync
            self.big_batch = count * self.small_batch

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch_start = iterations_of(self.model)
        self._plan_next(self._epoch_start)

    def on_train_batch_end(self, batch, logs=None):
        # The number of batches stands in for that of updates: a look at the
        # model after every batch would wait for the device.
        update = self._epoch_start + batch + 1
        if self.frequency != "epoch" and update >= self._next_update:
            self._measure()
            self._plan_next(update)

    def on_epoch_end(self, epoch, logs=None):
        if self.frequency == "epoch" or not self.updates:
            self._measure()
        if logs is None:
            return
        noise, signal, noise_scale = self._smoothed()
        logs["gradient_noise"] = noise
        logs["gradient_signal"] = signal
        logs["gradient_noise_scale"] = noise_scale

    def on_train_end(self, logs=None):
        # It holds compiled functions and a copy of the data.
        self._surface = None

    def advice(self):
        """What the last smoothed value means, in a few sentences."""
        if not self.updates:
            raise ValueError(
                "`GradientNoiseScale` has measured nothing yet. Expected a "
                "call of `fit` before."
            )
        return advice(self.noise_scales[-1], self.big_batch)

    def get_state(self):
        """Everything needed to continue, as a dictionary of numpy arrays."""
        return {
            "updates": np.array(self.updates, "int64"),
            "noises": np.array(self.noises, "float64"),
            "signals": np.array(self.signals, "float64"),
            "noise_scales": np.array(self.noise_scales, "float64"),
        }

    def set_state(self, state):
        """Continues from `get_state()`, or an `np.load` of it."""
        for name in ("updates", "noises", "signals", "noise_scales"):
            setattr(self, name, state[name].tolist())

    def _add(self, update, squares):
        """Takes the mean |G_s|^2 and |G_b|^2 measured after an update."""
        noise, signal = noise_and_signal(
            # Python's numbers: NumPy's warn where a gradient overflowed.
            tuple(map(float, squares)),
            self.small_batch,
            self.big_batch,
        )
        # Later measurements can only come from before a rollback.
        keep = int(np.searchsorted(self.updates, update))
        self.updates = [*self.updates[:keep], int(update)]
        self.noises = [*self.noises[:keep], noise]
        self.signals = [*self.signals[:keep], signal]
        self.noise_scales = self.noise_scales[:keep]
        self.noise_scales.append(self._smoothed()[2])

    def _smoothed(self):
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

    def _plan_next(self, update):
        if self.frequency != "epoch":
            self._next_update = (update // self.frequency + 1) * self.frequency

    def _measure(self):
        model = self.model
        update = iterations_of(model)
        if self.x is None:
            squares = self._replicas.take_squares()
        else:
            squares = self._draw(model, update)
        if squares is not None:
            self._add(update, squares)

    def _draw(self, model, update):
        if self._surface is None:
            self._surface = LossSurface(
                model,
                self.x,
                self.y,
                batch_size=self.small_batch,
                statistics=self.statistics,
            )
        else:
            self._surface.read_frozen()
        theta = self._surface.point()
        generator = np.random.default_rng([self.seed, update])
        sizes = self.small_batch, self.big_batch
        squares = [
            draw_squares(self._surface, theta, generator, *sizes)
            for _ in range(self.pairs)
        ]
        return np.mean(squares, axis=0)


def check_pair(data):
    received = f"data of type {type(data)}"
    if isinstance(data, tuple | list) and len(data) == 2:
        x, y = data
        if all(hasattr(part, "shape") for part in data) and len(x) == len(y):
            return x, y
        received = f"x of type {type(x)}, y of type {type(y)}"
    raise ValueError(
        "Invalid value for argument `data`. Expected a pair `(x, y)` of arrays "
        f"with a target for each sample. Received: {received}"
    )


def find_squared_gradients(model):
    """The `SquaredGradients` around the optimizer of a compiled model."""
    strategy = getattr(model, "distribute_strategy", None)
    if strategy is None or strategy.num_replicas_in_sync == 1:
        raise ValueError(
            "Invalid value for argument `data`. Expected a pair `(x, y)` of "
            "arrays: there is one replica, whose gradient cannot be compared "
            "with that of others. Received: data=None"
        )
    chain = [model.optimizer]
    while hasattr(chain[-1], "inner_optimizer"):
        chain.append(chain[-1].inner_optimizer)
    if any(isinstance(member, GradientMix) for member in chain):
        raise ValueError(
            "The gradients of `GradientMix` are no means of their samples'. "
            "Expected an optimizer without it, or `data` for "
            "`GradientNoiseScale`. Received: data=None"
        )
    for member in chain:
        if isinstance(member, SquaredGradients):
            return member
    raise ValueError(
        "`GradientNoiseScale` without `data` needs the optimizer's help. "
        "Expected `model.compile(keras_lbreg.SquaredGradients(optimizer), "
        f"...)`, or `data`. Received: optimizer={model.optimizer!r}, data=None"
    )
