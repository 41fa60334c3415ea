"""The covariance of the mixed gradient, measured against its formula."""

import keras
import numpy as np

from keras_lbreg.data import load_dataset, mix_sample_weights
from recipes.gradient_mix_2023.configuration import CONCENTRATIONS, GROUPS
from recipes.gradient_mix_2023.local_gradients import (
    BATCH,
    GROUP,
    coarser,
    local_gradients,
    trained_network,
)

DRAWS = 2000
STEPS = 3


def predicted_factor(groups, concentration):
    """The factor of the local gradients' own covariance.

    ```
    Cov(g | g_k) = 1 / (K c + 1) * (1/K) sum_k (g_k - gbar) (g_k - gbar)^T
    ```

    It follows from `Cov(w) = (I / K - 1 / K^2) / (K c + 1)`, as the deviations
    `g_k - gbar` add up to zero.
    """
    return 1 / (groups * concentration + 1)


def draw(seed, groups, concentration, draws):
    """Mixing weights of many steps, an array `(draws, groups)`.

    Each K and c has a seed of its own: with the same bits, the errors of all
    would be one error many times.
    """
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


def compare_noise(gradients, weights, concentration):
    """Relative errors of the formula on given gradients and weights.

    The noise `g - gbar = sum_k (w_k - 1/K) (g_k - gbar)` is looked at through
    two numbers with a standard error each: its mean square, the trace of its
    covariance, and its variance along the direction in which the formula
    expects most.

    Args:
        gradients: Array `(K, parameters)`.
        weights: Array `(draws, K)`.
        concentration: c.

    Returns:
        A dictionary of plain numbers.
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
    """How far `fit` is from the formula `sum_k w_k g_k`.

    The gradient that a training step uses on the batches of
    `mix_sample_weights`, against the mixed local gradients.

    Returns:
        The largest relative distance in a few steps.
    """
    groups = len(gradients)
    batch = dataset.x_train[samples], dataset.y_train[samples]
    batches = mix_sample_weights(
        [batch] * STEPS, groups, concentration, seed=seed
    )
    start = [np.array(value) for value in model.get_weights()]
    worst = 0.0
    drawn = mixing_weights(seed, groups, concentration, STEPS)
    for weights, (x, y, sample_weight) in zip(drawn, batches, strict=True):
        before = trainable(model)
        model.train_on_batch(x, y, sample_weight=sample_weight)
        moved = before - trainable(model)
        model.set_weights(start)
        expected = weights @ gradients
        distance = np.linalg.norm(moved - expected)
        worst = max(worst, float(distance / np.linalg.norm(expected)))
    return worst


def trainable(model):
    values = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    return np.concatenate([value.reshape(-1) for value in values], dtype="f8")


def measure_covariance(settings, on_progress, draws=DRAWS):
    """The measurement: all K and c, several networks.

    Args:
        settings: `seeds`, the number of networks; 3 where it is None.
        on_progress: Called with what is done and how much there is.
        draws: Draws of the weights for each K and c.

    Returns:
        Plain data, of which `cells` has one dictionary for each seed, K and c.
    """
    dataset = load_dataset("digits")
    seeds = range(3 if settings["seeds"] is None else settings["seeds"])
    total = len(seeds) * len(GROUPS) * len(CONCENTRATIONS)
    cells, worst = [], 0.0
    for seed in seeds:
        model = trained_network(dataset, seed)
        order = np.random.default_rng(seed).permutation(len(dataset.x_train))
        samples = order[:BATCH]
        finest = local_gradients(model, dataset, samples.reshape(-1, GROUP))
        for groups in GROUPS:
            gradients = coarser(finest, groups)
            worst = max(
                worst,
                training_error(model, dataset, samples, gradients, seed, 1.0),
            )
            for concentration in CONCENTRATIONS:
                weights = draw(seed, groups, concentration, draws)
                cell = compare_noise(gradients, weights, concentration)
                cells.append({"seed": seed, **cell})
                on_progress(len(cells), total)
    return {
        "draws": draws,
        "batch": BATCH,
        "cells": cells,
        "training_error": worst,
    }
