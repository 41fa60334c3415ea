"""The noise of the mixed gradient, measured against its formulas."""

import itertools

import keras
import numpy as np

from keras_lbreg.analysis import LossSurface
from keras_lbreg.data import load_dataset, mix_sample_weights
from recipes.gradient_mix_2023.configuration import (
    CONCENTRATIONS,
    GROUPS,
    digits_network,
)

BATCH = 512
# Of the most groups: those of fewer are means of them.
GROUP = BATCH // max(GROUPS)
# Draws of the weights for each K and c, and steps of `training_error`.
DRAWS, STEPS = 2000, 3
# Batches, each with one draw of the weights for each K and c; and parts of
# them, each left out once for the standard error.
BATCHES, PARTS = 1000, 20


def trained_network(dataset, seed):
    """A digits network after two epochs, its normalization frozen.

    With frozen statistics the gradient of a batch is the mean of those of its
    samples, as the formulas have it. A step is exactly the gradient.
    """
    keras.utils.set_random_seed(seed)
    x, y = dataset.x_train, dataset.y_train
    images = dataset.input_shape, str(x.dtype), dataset.classes
    model = digits_network(*images, dataset.moments())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.02, momentum=0.9), loss)
    model.fit(x, y, batch_size=64, epochs=2, verbose=0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    model.compile(keras.optimizers.SGD(1.0), loss)
    return model


def local_gradients(model, dataset, groups):
    """The gradient of each group of samples, an array `(K, parameters)`."""
    surface = LossSurface(model, dataset.x_train, dataset.y_train)
    theta = surface.point()
    return np.stack([surface.gradient_of(theta, group) for group in groups])


def coarser(gradients, groups):
    """The gradients of fewer groups, each made of neighbours."""
    shape = (groups, len(gradients) // groups, *gradients.shape[1:])
    return gradients.reshape(shape).mean(axis=1)


def draw(seed, groups, concentration, draws):
    """Mixing weights of many steps, an array `(draws, groups)`."""
    # A seed for each K and c: with the same bits, the errors of all would be
    # one error many times.
    cell = (seed, GROUPS.index(groups), CONCENTRATIONS.index(concentration))
    own = int(np.random.SeedSequence(cell).generate_state(1)[0] >> 1)
    return mixing_weights(own, groups, concentration, draws)


def mixing_weights(seed, groups, concentration, steps):
    """w of the first steps, out of the sample weights `K w_k` they make."""
    one_of_each = np.zeros((groups, 1)), np.zeros((groups, 1))
    batches = mix_sample_weights(
        [one_of_each] * steps, groups, concentration, seed=seed
    )
    return np.stack([w for _, _, w in batches]).astype("float64") / groups


def predicted_factor(groups, concentration):
    """The factor of the local gradients' own covariance.

    ```
    Cov(g | g_k) = 1 / (K c + 1) * (1/K) sum_k (g_k - gbar) (g_k - gbar)^T
    ```
    """
    # By Cov(w) = (I / K - 1 / K^2) / (K c + 1): the deviations add up to 0.
    return 1 / (groups * concentration + 1)


def compare_noise(gradients, weights, concentration):
    """Relative errors of the formula on given gradients and weights.

    Of the noise `g - gbar = sum_k (w_k - 1/K) (g_k - gbar)`: its mean square,
    the trace of its covariance, and its variance along the direction in which
    the formula expects most.
    """
    groups = len(gradients)
    centered = gradients - gradients.mean(axis=0)
    # All the noise lies in the span of K vectors: K x K numbers say it all.
    gram = centered @ centered.T / groups
    values, vectors = np.linalg.eigh(gram)
    deviations = weights - 1 / groups
    squares = groups * np.einsum("dk,kl,dl->d", deviations, gram, deviations)
    # The coordinate along the first eigenvector of sum (g_k - gbar)(...)^T.
    along = deviations @ vectors[:, -1] * np.sqrt(groups * values[-1])
    factor = predicted_factor(groups, concentration)
    return {
        "groups": groups,
        "concentration": concentration,
        "trace": float(squares.mean()),
        "trace_formula": float(factor * np.trace(gram)),
        **relative_error("trace", squares, factor * np.trace(gram)),
        **relative_error("first", along**2, factor * values[-1]),
    }


def relative_error(name, values, expected):
    """Of a mean, and its standard error."""
    ratio = values / expected
    return {
        f"{name}_error": float(ratio.mean() - 1),
        f"{name}_standard_error": float(ratio.std(ddof=1) / len(ratio) ** 0.5),
    }


def training_error(model, dataset, samples, gradients, seed, concentration):
    """The largest relative distance of steps from `sum_k w_k g_k`.

    Of training steps on the batches of `mix_sample_weights`.
    """
    groups = len(gradients)
    surface = LossSurface(model, dataset.x_train, dataset.y_train)
    batch = dataset.x_train[samples], dataset.y_train[samples]
    batches = mix_sample_weights(
        [batch] * STEPS, groups, concentration, seed=seed
    )
    start = [np.array(value) for value in model.get_weights()]
    worst = 0.0
    drawn = mixing_weights(seed, groups, concentration, STEPS)
    for weights, (x, y, sample_weight) in zip(drawn, batches, strict=True):
        before = surface.point()
        model.train_on_batch(x, y, sample_weight=sample_weight)
        moved = before - surface.point()
        model.set_weights(start)
        expected = weights @ gradients
        distance = np.linalg.norm(moved - expected)
        worst = max(worst, float(distance / np.linalg.norm(expected)))
    return worst


def measure_covariance(progress, seeds=None, data_dir=None):
    """The noise of the mixed gradient, for all K and c, several networks."""
    dataset = load_dataset("digits")
    cells, worst = [], 0.0
    for seed in progress(range(seeds or 3)):
        model = trained_network(dataset, seed)
        order = np.random.default_rng(seed).permutation(len(dataset.x_train))
        samples = order[:BATCH]
        finest = local_gradients(model, dataset, samples.reshape(-1, GROUP))
        for groups in GROUPS:
            gradients = coarser(finest, groups)
            error = training_error(
                model, dataset, samples, gradients, seed, concentration=1.0
            )
            worst = max(worst, error)
            for concentration in CONCENTRATIONS:
                weights = draw(seed, groups, concentration, DRAWS)
                cell = compare_noise(gradients, weights, concentration)
                cells.append({"seed": seed, **cell})
    found = {"cells": cells, "training_error": worst}
    return {"draws": DRAWS, "batch": BATCH, **found}


def predicted_share(groups, concentration):
    """`B_eff / B = (K c + 1) / (K (c + 1))`."""
    return (groups * concentration + 1) / (groups * (concentration + 1))


def local_products(products, samples, groups):
    """Scalar products of groups' gradients, from those of all samples."""
    of_batch = products[np.ix_(samples, samples)]
    size = len(samples) // groups
    shape = (groups, size, groups, size)
    return of_batch.reshape(shape).mean(axis=(1, 3))


def measured_share(mixed, small, big):
    """`B_eff / B` out of squared lengths alone, as McCandlish et al. do it.

    ```
    |G|^2, S  out of the lengths for batches of B and of a group
    B_eff     = S / (mean |g|^2 - |G|^2)
    ```

    `mixed`, `small` and `big` are squared lengths of mixed gradients, of the
    groups' and of plain means. With the standard error, by the jackknife.
    """

    def share(chosen):
        of_group, of_batch = small[chosen].mean(), big[chosen].mean()
        signal = (BATCH * of_batch - GROUP * of_group) / (BATCH - GROUP)
        noise = (of_group - of_batch) / (1 / GROUP - 1 / BATCH)
        return noise / (mixed[chosen].mean() - signal) / BATCH

    everything = np.arange(len(mixed))
    parts = np.array_split(everything, PARTS)
    left_out = [share(np.setdiff1d(everything, part)) for part in parts]
    error = np.sqrt((PARTS - 1) * np.var(left_out))
    return float(share(everything)), float(error)


def measure_effective_batch(progress, seeds=None, data_dir=None):
    """The effective batch, for all K and c, several networks.

    Samples are drawn with replacement: independent, as in the formulas.
    """
    dataset = load_dataset("digits")
    size = len(dataset.x_train)
    cells = []
    for seed in progress(range(seeds or 3)):
        model = trained_network(dataset, seed)
        each = np.arange(size).reshape(-1, 1)
        gradients = local_gradients(model, dataset, each)
        products = gradients @ gradients.T
        random = np.random.default_rng(seed)
        batches = [random.integers(size, size=BATCH) for _ in range(BATCHES)]
        finest = np.stack(
            [local_products(products, b, max(GROUPS)) for b in batches]
        )
        small = np.einsum("bkk->b", finest) / max(GROUPS)
        big = finest.mean(axis=(1, 2))
        for groups, concentration in itertools.product(GROUPS, CONCENTRATIONS):
            local = np.stack(
                [coarser(coarser(p, groups).T, groups) for p in finest]
            )
            weights = draw(seed, groups, concentration, BATCHES)
            mixed = np.einsum("bk,bkl,bl->b", weights, local, weights)
            share, error = measured_share(mixed, small, big)
            cell = {"groups": groups, "concentration": concentration}
            formula = predicted_share(**cell)
            found = {"share": share, "standard_error": error}
            cells.append({"seed": seed, **cell, **found, "formula": formula})
    return {"batches": BATCHES, "batch": BATCH, "cells": cells}
