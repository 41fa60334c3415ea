"""How large the added noise is beside the gradient's own."""

import itertools
import math

import numpy as np

from keras_lbreg.analysis import LossSurface, gradient_noise_scale
from recipes.hoffer_2017.configuration import F1
from recipes.jaiswal_taura.configuration import (
    ALPHA,
    DIGITS,
    FULL,
    GAMMA,
    PX64,
    PX104,
)
from recipes.jaiswal_taura.interpolation import training_data
from recipes.paper import Comparison

# Training images at most: enough for four batches of the largest.
SAMPLES = 16384


def minibatch_noise(model, x, y, batch, batches=24, seed=0):
    """The expected squared distance of a batch's gradient from the mean one.

    ```
    noise  = E|g_B - E g_B|^2 = (sum |g_i|^2 - |sum g_i|^2 / m) / (m - 1)
    signal = |E g_B|^2        = |sum g_i / m|^2 - noise / m
    ```

    over m batches, those of one pass being drawn without replacement, as in
    training, and in training mode: gradients pass through the statistics of
    the batch. The signal may come out negative where it is small.

    Reference: McCandlish et al. 2018, https://arxiv.org/abs/1812.06162
    """
    if batch > len(x):
        raise ValueError(
            "Invalid value for argument `batch`. Expected at most the number "
            f"of samples, {len(x)}. Received: batch={batch}"
        )
    surface = LossSurface(model, x, y, batch_size=batch, statistics="batch")
    parts = list(draw(len(x), batch, batches, seed))
    each, mean = surface.squared_gradients(surface.point(), parts)
    noise = (each - mean) * batches / (batches - 1)
    return noise, mean - noise / batches


def draw(samples, batch, batches, seed):
    """Numbers of the samples of each batch, pass after pass."""
    generator = np.random.default_rng(seed)
    passes = samples // batch
    for number in range(batches):
        if number % passes == 0:
            order = generator.permutation(samples)
        first = number % passes * batch
        yield order[first : first + batch]


def added_noise(parameters, updates, alpha=ALPHA, gamma=GAMMA):
    """E|N(0, sigma_t^2 I)|^2 = n sigma_t^2 = n alpha / (1 + t)^gamma."""
    return parameters * alpha / (1 + updates) ** gamma


def matching_alpha(small, large, parameters, updates, gamma=GAMMA):
    """The alpha that makes the large batch's gradient as noisy as the small's.

    ```
    alpha = (noise_S - noise_L) (1 + t)^gamma / n
    ```

    As noisy in length alone: the small batch's noise lies in the directions in
    which samples disagree, the added one in all n alike.
    """
    return (small - large) * (1 + updates) ** gamma / parameters


def points_of(family, epochs, batches=(128,)):
    """Large batches without noise, after some epochs each."""
    return [(family.comparison(b, "x01"), e) for b in batches for e in epochs]


# Hoffer et al.'s F1 at batch 4096 beside 128, by their own rule.
MNIST = Comparison("mnist", "F1, MNIST", "mnist", F1, ("lr",))
# By name of the measurement: the comparisons and epochs to measure at, and the
# default of seeds.
POINTS = {
    "digits": (points_of(DIGITS, (1, 10, 28), DIGITS.batches), 3),
    "mnist": ([(MNIST, 5)], 1),
    "px64": (points_of(PX64, (1, 10, 28)), 1),
    "px104": (points_of(PX104, (1,)), 1),
    "full": (points_of(FULL, (1,)), 1),
}


def measure_noise_size(name, progress, seeds=None, data_dir=None):
    """Both noises, and the alpha that would match the small batch's.

    On unaugmented training images, at weights of runs without added noise.
    """
    points, default_seeds = POINTS[name]
    first = points[0][0]
    (x, y), _ = training_data(first, data_dir, SAMPLES)
    rows = []
    seeds = range(seeds or default_seeds)
    for (comparison, epoch), seed in progress(itertools.product(points, seeds)):
        model, updates = comparison.trained("lr", seed, epoch, data_dir)
        sizes = {
            "batch": comparison.batch_size or comparison.recipe.batch_size,
            "small_batch": comparison.recipe.small_batch_size,
        }
        found = measure_point(model, x, y, updates, seed, **sizes)
        rows.append({**sizes, "epoch": epoch, "seed": seed, **found})
    return {
        "title": first.title.partition(", batch")[0],
        "alpha": ALPHA,
        "gamma": GAMMA,
        "samples": len(x),
        "rows": rows,
    }


def measure_point(model, x, y, updates, seed, batch, small_batch):
    """What is measured at the weights of one model."""
    small, _ = minibatch_noise(model, x, y, small_batch, seed=seed)
    own, signal = minibatch_noise(model, x, y, batch, seed=seed)
    sizes = {"small_batch": 32, "big_batch": 256, "pairs": 16, "seed": seed}
    scales = {
        kind: gradient_noise_scale(model, x, y, statistics=kind, **sizes)
        for kind in ("batch", "estimate", "moving")
    }
    parameters = sum(math.prod(v.shape) for v in model.trainable_variables)
    return {
        "updates": updates,
        "parameters": parameters,
        "signal": signal,
        "own_noise": own,
        "small_noise": small,
        # What `gradient_noise_scale` says of the large batch's noise.
        "noise_by_statistics": {k: s.noise / batch for k, s in scales.items()},
        "added_noise": added_noise(parameters, updates),
        "matching_alpha": matching_alpha(small, own, parameters, updates),
    }
