"""The effective batch of the mixed gradient, measured by its noise."""

import numpy as np

from keras_lbreg.data import load_dataset
from recipes.gradient_mix_2023.configuration import CONCENTRATIONS, GROUPS
from recipes.gradient_mix_2023.covariance import draw
from recipes.gradient_mix_2023.local_gradients import (
    BATCH,
    GROUP,
    coarser,
    local_gradients,
    trained_network,
)

BATCHES = 1000
# Parts of the batches, each left out once for the standard error.
PARTS = 20


def predicted_share(groups, concentration):
    """`B_eff / B = (K c + 1) / (K (c + 1))`."""
    return (groups * concentration + 1) / (groups * (concentration + 1))


def local_products(products, samples, groups):
    """Scalar products of the gradients of all pairs of groups.

    Args:
        products: Array `(n, n)`: those of the gradients of the samples.
        samples: Numbers of the samples of a batch.
        groups: Number of groups.

    Returns:
        Array `(groups, groups)`.
    """
    of_batch = products[np.ix_(samples, samples)]
    size = len(samples) // groups
    shape = (groups, size, groups, size)
    return of_batch.reshape(shape).mean(axis=(1, 3))


def coarser_products(products, groups):
    """Those of fewer groups, each made of neighbours."""
    return coarser(coarser(products, groups).T, groups)


def measured_share(mixed, small, big):
    """`B_eff / B` out of squared lengths alone, as McCandlish et al. do it.

    ```
    |G|^2, S  out of the lengths for batches of B and of a group
    B_eff     = S / (mean |g|^2 - |G|^2)
    ```

    Args:
        mixed: Squared lengths of mixed gradients.
        small: Mean squared lengths of the groups' gradients.
        big: Squared lengths of the plain means.

    Returns:
        The share and its standard error, by the jackknife.
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


def measure_effective_batch(settings, on_progress, batches=BATCHES):
    """The measurement: all K and c, several networks.

    Samples are drawn with replacement, so that they are independent, as the
    formulas have it.

    Args:
        settings: `seeds`, the number of networks; 3 where it is None.
        on_progress: Called with what is done and how much there is.
        batches: Batches, each with one draw of the weights for each K and c.

    Returns:
        Plain data, of which `cells` has one dictionary for each seed, K and c.
    """
    dataset = load_dataset("digits")
    size = len(dataset.x_train)
    seeds = range(3 if settings["seeds"] is None else settings["seeds"])
    total = len(seeds) * len(GROUPS) * len(CONCENTRATIONS)
    cells = []
    for seed in seeds:
        model = trained_network(dataset, seed)
        each = np.arange(size).reshape(-1, 1)
        gradients = local_gradients(model, dataset, each)
        products = gradients @ gradients.T
        random = np.random.default_rng(seed)
        finest = np.stack(
            [
                local_products(
                    products, random.integers(size, size=BATCH), max(GROUPS)
                )
                for _ in range(batches)
            ]
        )
        small = np.einsum("bkk->b", finest) / max(GROUPS)
        big = finest.mean(axis=(1, 2))
        for groups in GROUPS:
            local = np.stack([coarser_products(p, groups) for p in finest])
            for concentration in CONCENTRATIONS:
                weights = draw(seed, groups, concentration, batches)
                mixed = np.einsum("bk,bkl,bl->b", weights, local, weights)
                share, error = measured_share(mixed, small, big)
                cells.append(
                    {
                        "seed": seed,
                        "groups": groups,
                        "concentration": concentration,
                        "share": share,
                        "standard_error": error,
                        "formula": predicted_share(groups, concentration),
                    }
                )
                on_progress(len(cells), total)
    return {"batches": batches, "batch": BATCH, "cells": cells}
