"""How large the added noise is beside the gradient's own."""

import dataclasses
import itertools
import math

import keras
import numpy as np

from keras_lbreg.analysis import gradient_noise_scale
from recipes.hoffer_2017.configuration import F1
from recipes.jaiswal_taura.configuration import (
    ALPHA,
    DIGITS,
    FULL,
    GAMMA,
    PX64,
    PX104,
    SMALL_BATCH,
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
    training. The model is in training mode: batch normalization takes the
    statistics of the batch and passes gradients through them.
    `keras_lbreg.analysis.gradient_noise_scale` keeps the moving statistics,
    which lag behind where the learning rate is large, and leaves out what the
    statistics add to the noise.

    Args:
        model: A compiled `keras.Model`.
        x: Training inputs.
        y: Targets.
        batch: B.
        batches: m, at least 2.
        seed: Seed of the drawing.

    Returns:
        The pair `(noise, signal)`; the second may come out negative where it
        is small beside the first.

    Raises:
        ValueError: There are fewer samples than the batch has.

    Reference: McCandlish et al. 2018, https://arxiv.org/abs/1812.06162
    """
    if batch > len(x):
        raise ValueError(
            "Invalid value for argument `batch`. Expected at most the number "
            f"of samples, {len(x)}. Received: batch={batch}"
        )
    function = keras.losses.get(model.loss)
    frozen = [np.asarray(v) for v in model.non_trainable_variables]
    point = [np.asarray(v) for v in model.trainable_variables]

    def batch_loss(point, frozen, x, y):
        predicted, _ = model.stateless_call(point, frozen, x, training=True)
        return keras.ops.mean(function(y, predicted))

    gradient_of = compiled_gradient(batch_loss)
    total, squares = 0.0, 0.0
    for part in draw(len(x), batch, batches, seed):
        gradient = gradient_of(point, frozen, x[part], y[part])
        flat = np.concatenate(
            [np.asarray(g, "float64").ravel() for g in gradient]
        )
        total = total + flat
        squares += flat @ flat
    noise = (squares - total @ total / batches) / (batches - 1)
    signal = total @ total / batches**2 - noise / batches
    return float(noise), float(signal)


def compiled_gradient(function):
    """The gradient of `function(point, frozen, x, y)` by `point`."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(jax.grad(function))
    import tensorflow as tf

    def gradient(point, frozen, x, y):
        with tf.GradientTape() as tape:
            tape.watch(point)
            value = function(point, frozen, x, y)
        return tape.gradient(
            value, point, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )

    graph = tf.function(gradient, reduce_retracing=True)
    return lambda *arguments: graph(
        *tf.nest.map_structure(tf.constant, arguments)
    )


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
    """The expected squared length of the noise that is added at an update.

    ```
    E|N(0, sigma_t^2 I)|^2 = n sigma_t^2 = n alpha / (1 + t)^gamma
    ```
    """
    return parameters * alpha / (1 + updates) ** gamma


def matching_alpha(small, large, parameters, updates, gamma=GAMMA):
    """The alpha that makes the large batch's gradient as noisy as the small's.

    ```
    alpha = (noise_S - noise_L) (1 + t)^gamma / n
    ```

    It is as much noise as the small batch's in length alone: that one lies in
    the directions in which samples disagree, the added one in all n alike.
    """
    return (small - large) * (1 + updates) ** gamma / parameters


@dataclasses.dataclass(frozen=True)
class Point:
    """Weights to measure the noise at: a comparison's, after some epochs.

    `batch` and `small` are its batch sizes.
    """

    comparison: Comparison
    batch: int
    small: int
    epochs: int


def points_of(family, epochs, batches=(128,)):
    """Large batches without noise, after some epochs each."""
    return [
        Point(family.comparison(batch, "x01"), batch, SMALL_BATCH, epoch)
        for batch in batches
        for epoch in epochs
    ]


# Hoffer et al.'s F1 at batch 4096 beside 128, by their own rule.
MNIST = Comparison("mnist", "F1, MNIST", "mnist", F1, ("lr",))
# By name of the measurement: what to measure, and the default of seeds.
POINTS = {
    "digits": (points_of(DIGITS, (1, 10, 28), DIGITS.batches), 3),
    "mnist": ([Point(MNIST, 4096, 128, 5)], 1),
    "px64": (points_of(PX64, (1, 10, 28)), 1),
    "px104": (points_of(PX104, (1,)), 1),
    "full": (points_of(FULL, (1,)), 1),
}


def measure_noise_size(name, progress, seeds=None, data_dir=None):
    """Both noises, and the alpha that would match the small batch's.

    On unaugmented training images, at weights of runs without added noise.
    """
    points, default_seeds = POINTS[name]
    seeds = range(seeds or default_seeds)
    first = points[0].comparison
    (x, y), _ = training_data(first, data_dir, SAMPLES)
    rows = []
    for point, seed in progress(itertools.product(points, seeds)):
        trained = point.comparison.trained("lr", seed, point.epochs, data_dir)
        rows.append(measure_point(point, seed, *trained, x, y))
    return {
        "title": first.title.partition(", batch")[0],
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
