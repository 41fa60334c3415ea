"""Figure 6: the line through two minima."""

from keras_lbreg.analysis import interpolate
from recipes.jaiswal_taura.trained import trained, training_data

# Samples at a time; the statistics of batch normalization are averages over
# such parts.
BATCH = 128


def measure_interpolation(family, settings, on_progress):
    """Loss and accuracy between the batch-32 and each large-batch minimum.

    ```
    theta(a) = (1 - a) theta_32 + a theta_B,    a in [-1, 2]
    ```

    Both are trained from the same first weights, with the learning rate decayed
    by 0.1. The statistics of batch normalization are estimated anew at every
    position: interpolated variances are negative at some.

    Args:
        family: The `Family`.
        settings: A dictionary with `seeds` and `data_dir`.
        on_progress: Called with the positions done and their number.

    Returns:
        A dictionary: `positions`, `seeds` and `lines`; a line has `batch`,
        `seed`, and `loss` and `accuracy` by `"train"` and `"val"`.

    Example:

    >>> measure_interpolation(DIGITS, {"seeds": 1, "data_dir": None}, print)

    Reference: Figure 6 of the paper; Goodfellow et al. 2015,
    https://arxiv.org/abs/1412.6544
    """
    seeds = range(settings["seeds"] or family.seeds)
    data_dir = settings["data_dir"]
    comparisons = {b: family.comparison(b, "x01") for b in family.batches}
    reference = comparisons[family.small_stands_with]
    train, val = training_data(reference, data_dir)
    count = 25
    total = count * len(comparisons) * len(seeds)
    lines = []
    for seed in seeds:
        small, _ = trained(reference, "small_batch", seed, data_dir)
        for batch, comparison in comparisons.items():
            large, _ = trained(comparison, "lr", seed, data_dir)
            before = count * len(lines)
            line = interpolate(
                small,
                large,
                {"train": train, "val": val},
                statistics="estimate",
                statistics_data=train[0],
                batch_size=BATCH,
                on_progress=lambda done, b=before: on_progress(b + done, total),
            )
            lines.append(
                {
                    "batch": batch,
                    "seed": seed,
                    "loss": {k: v.tolist() for k, v in line.loss.items()},
                    "accuracy": {
                        k: v.tolist() for k, v in line.accuracy.items()
                    },
                }
            )
    return {
        "title": family.title,
        "epochs": family.epochs,
        "positions": line.positions.tolist(),
        "seeds": list(seeds),
        "lines": lines,
    }
