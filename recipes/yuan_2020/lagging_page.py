"""Table of what the growing kernels do to moving statistics."""

from keras_lbreg.comparison.statistics import Stat
from recipes.yuan_2020.lagging_statistics import CASES
from recipes.yuan_2020.tables import NOTHING, markdown


def lagging_table(study):
    """Accuracy with the moving statistics and with true ones."""
    content = study.measured("lagging")
    rows = []
    for weight, batch_size, epochs in CASES:
        runs = [
            run
            for run in (content["measured"]["runs"] if content else [])
            if run["weight"] == weight and run["batch_size"] == batch_size
        ]
        rows.append(
            [
                f"{weight:g}",
                f"{batch_size}",
                f"{epochs}",
                *(lagging_cells(runs) if runs else [NOTHING] * 4),
            ]
        )
    header = [
        "λ",
        "batch",
        "epochs",
        "moving by true variance, predicted",
        "measured",
        "accuracy, %",
        "after the statistics caught up, %",
    ]
    return markdown(header, rows)


def lagging_cells(runs):
    """Ratio of variances and accuracies of one case, over its seeds."""
    ratio = Stat.of(run["ratio"] for run in runs)
    before = Stat.of(100 * run["accuracy"] for run in runs)
    after = Stat.of(100 * run["accuracy_afterwards"] for run in runs)
    return [
        f"{runs[0]['predicted']:.3f}",
        f"{ratio.mean:.3f} ± {ratio.std:.3f}",
        f"{before.mean:.1f} ± {before.std:.1f}",
        f"{after.mean:.1f} ± {after.std:.1f}",
    ]
