"""How large the added noise is beside the gradient's own."""

import dataclasses
import math

from keras_lbreg.analysis import gradient_noise_scale
from recipes.jaiswal_taura.configuration import (
    ALPHA,
    DIGITS,
    FULL,
    GAMMA,
    PX64,
    PX104,
)
from recipes.jaiswal_taura.minibatch_noise import minibatch_noise
from recipes.jaiswal_taura.regime import BASE_BATCH
from recipes.jaiswal_taura.trained import trained, training_data
from recipes.study.comparison import Comparison

# Training images at most: enough for four batches of the largest.
SAMPLES = 16384


def added_noise(parameters, updates, alpha=ALPHA, gamma=GAMMA):
    """The expected squared length of the noise that is added at an update.

    ```
    E|N(0, sigma_t^2 I)|^2 = n sigma_t^2 = n alpha / (1 + t)^gamma
    ```

    Args:
        parameters: n, the number of trainable parameters.
        updates: t, the updates before this one.
        alpha: Variance of the first noise.
        gamma: Decay of the variance.

    Example:

    >>> added_noise(25_000_000, 0)
    250.0
    """
    return parameters * alpha / (1 + updates) ** gamma


def matching_alpha(small, large, parameters, updates, gamma=GAMMA):
    """The alpha that makes the large batch's gradient as noisy as the small's.

    ```
    alpha = (noise_S - noise_L) (1 + t)^gamma / n
    ```

    It is as much noise as the small batch's in length alone: that one lies in
    the directions in which samples disagree, the added one in all n alike.

    Args:
        small: noise_S, the expected squared length of the noise that the
            gradient of the small batch has.
        large: noise_L, the large batch's.
        parameters: n.
        updates: t.
        gamma: Decay of the variance.

    Example:

    >>> matching_alpha(2.0, 1.0, parameters=1_000_000, updates=0)
    1e-06
    """
    return (small - large) * (1 + updates) ** gamma / parameters


@dataclasses.dataclass(frozen=True)
class Point:
    """Weights to measure the noise at.

    Args:
        comparison: The `Comparison` that trains them.
        batch: Its large batch.
        small: Its small batch.
        epochs: Epochs after which to measure.
    """

    comparison: Comparison
    batch: int
    small: int
    epochs: int


def points_of(family, epochs, batches=(128,)):
    """Large batches without noise, after some epochs each."""
    return [
        Point(family.comparison(batch, "x01"), batch, BASE_BATCH, epoch)
        for batch in batches
        for epoch in epochs
    ]


def mnist_points():
    """Hoffer et al.'s F1 at batch 4096 beside 128, by their own rule."""
    from recipes.hoffer_2017.configuration import F1

    comparison = Comparison("mnist", "F1, MNIST", "mnist", F1, ("lr",))
    return [Point(comparison, 4096, 128, 5)]


# By name of the measurement: what to measure, and the default of seeds.
POINTS = {
    "digits": (lambda: points_of(DIGITS, (1, 10, 28), DIGITS.batches), 3),
    "mnist": (mnist_points, 1),
    "px64": (lambda: points_of(PX64, (1, 10, 28)), 1),
    "px104": (lambda: points_of(PX104, (1,)), 1),
    "full": (lambda: points_of(FULL, (1,)), 1),
}


def measure_noise_size(name, settings, on_progress):
    """Both noises, and the alpha that would match the small batch's.

    On unaugmented training images, at weights of runs without added noise.

    Args:
        name: A key of `POINTS`.
        settings: A dictionary with `seeds` and `data_dir`.
        on_progress: Called with the points done and their number.

    Returns:
        A dictionary with `rows`, one for each point and seed.

    Example:

    >>> measure_noise_size("digits", {"seeds": 1, "data_dir": None}, print)

    Reference: `minibatch_noise`, `added_noise` and `matching_alpha`.
    """
    make_points, default_seeds = POINTS[name]
    points = make_points()
    seeds = range(settings["seeds"] or default_seeds)
    data_dir = settings["data_dir"]
    total = len(points) * len(seeds)
    rows = []
    (x, y), _ = training_data(points[0].comparison, data_dir, SAMPLES)
    for point in points:
        for seed in seeds:
            model, updates = trained(
                point.comparison, "lr", seed, data_dir, point.epochs
            )
            rows.append(measure_point(point, seed, model, updates, x, y))
            on_progress(len(rows), total)
    return {
        "title": points[0].comparison.title.partition(", batch")[0],
        "alpha": ALPHA,
        "gamma": GAMMA,
        "samples": len(x),
        "rows": rows,
    }


def measure_point(point, seed, model, updates, x, y):
    """One row of the measurement, plain data."""
    small, _ = minibatch_noise(model, x, y, point.small, seed=seed)
    own, signal = minibatch_noise(model, x, y, point.batch, seed=seed)

    def batch_noise(statistics):
        """What `gradient_noise_scale` says of the large batch's noise."""
        found = gradient_noise_scale(
            model,
            x,
            y,
            small_batch=32,
            big_batch=256,
            pairs=16,
            seed=seed,
            statistics=statistics,
        )
        return found.noise / point.batch

    parameters = sum(math.prod(v.shape) for v in model.trainable_variables)
    return {
        "batch": point.batch,
        "small_batch": point.small,
        "epoch": point.epochs,
        "seed": seed,
        "updates": updates,
        "parameters": parameters,
        "signal": signal,
        "own_noise": own,
        "small_noise": small,
        "noise_by_statistics": {
            statistics: batch_noise(statistics)
            for statistics in ("batch", "estimate", "moving")
        },
        "added_noise": added_noise(parameters, updates),
        "matching_alpha": matching_alpha(small, own, parameters, updates),
    }
