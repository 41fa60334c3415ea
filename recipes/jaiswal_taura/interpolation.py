"""Figure 6: the line through two minima."""

import itertools

import numpy as np

from keras_lbreg.analysis import interpolate

# Training images that are measured on, of larger sets the first of a fixed
# permutation; and how many the statistics of batch normalization are averaged
# over at a time.
MEASURED, BATCH = 2048, 128


def training_data(comparison, data_dir=None, samples=MEASURED):
    """Pairs of training and of validation data, unaugmented."""
    workload = comparison.workload(data_dir=data_dir)
    x, y = workload.train_data
    chosen = np.random.default_rng(0).permutation(len(x))[:samples]
    x, y = x[chosen], y[chosen]
    if workload.augmentation is not None:
        x = workload.augmentation.of_validation(x)
    return (x, y), workload.validation_data


def measure_interpolation(family, progress, seeds=None, data_dir=None):
    """Loss and accuracy between the batch-32 and each large-batch minimum.

    ```
    theta(a) = (1 - a) theta_32 + a theta_B,    a in [-1, 2]
    ```

    Both are trained from the same first weights, with the learning rate decayed
    by 0.1. The statistics of batch normalization are estimated anew at every
    position: interpolated variances are negative at some.

    Reference: Figure 6 of the paper; Goodfellow et al. 2015,
    https://arxiv.org/abs/1412.6544
    """
    seeds = range(seeds or family.seeds)
    reference = family.comparison(128, "x01")
    train, val = training_data(reference, data_dir)
    lines = []
    for seed, batch in progress(itertools.product(seeds, family.batches)):
        small, _ = reference.trained("small_batch", seed, data_dir=data_dir)
        comparison = family.comparison(batch, "x01")
        large, _ = comparison.trained("lr", seed, data_dir=data_dir)
        line = interpolate(
            small,
            large,
            {"train": train, "val": val},
            statistics="estimate",
            statistics_data=train[0],
            batch_size=BATCH,
        )
        values = {
            what: {k: v.tolist() for k, v in getattr(line, what).items()}
            for what in ("loss", "accuracy")
        }
        lines.append({"batch": batch, "seed": seed, **values})
    return {
        "title": family.title,
        "epochs": family.epochs,
        "positions": line.positions.tolist(),
        "seeds": list(seeds),
        "lines": lines,
    }
