"""The tables of the README on how large the noise is."""

from keras_lbreg.comparison.statistics import Stat
from recipes.jaiswal_taura.configuration import FAMILIES
from recipes.study.cells import table as markdown


def measured_sizes(study):
    """What the measurements of the noise's size that were made contain."""
    for name in (*FAMILIES, "mnist"):
        content = study.measured(f"noise_size_{name}")
        if content is not None:
            yield content["measured"]


def noise_size_table(study):
    """The gradient's own noise, the added one, and the alpha to match."""
    head = [
        "network, data",
        "parameters",
        "batch",
        "epoch (update)",
        "squared gradient",
        "its noise",
        "noise of the small batch",
        "added noise, alpha 1e-5",
        "added / own",
        "matching alpha",
    ]
    rows = []
    for measured in measured_sizes(study):
        rows += noise_size_rows(measured)
    return markdown(head, rows)


def noise_size_rows(measured):
    """Means over seeds, at each batch's first and last epoch measured."""
    epochs = [row["epoch"] for row in measured["rows"]]
    groups = {}
    for row in measured["rows"]:
        if row["epoch"] in (min(epochs), max(epochs)):
            groups.setdefault((row["batch"], row["epoch"]), []).append(row)
    for (batch, epoch), rows in groups.items():

        def mean(key, rows=rows):
            return Stat.of(row[key] for row in rows).mean

        own, added = mean("own_noise"), mean("added_noise")
        yield [
            measured["title"],
            f"{rows[0]['parameters']:,}",
            f"{batch:,}",
            f"{epoch} ({rows[0]['updates']:,})",
            f"{mean('signal'):.2g}",
            f"{own:.2g}",
            f"{mean('small_noise'):.2g} (batch {rows[0]['small_batch']})",
            f"{added:.2g}",
            f"{added / own:.2g}",
            f"{mean('matching_alpha'):.1g}",
        ]


def noise_statistics_table(study):
    """The noise scale's noise beside that of training steps.

    How many times as large `gradient_noise_scale` (small batches of 32)
    finds the noise as it is in training steps of 32 samples, by what batch
    normalization divides by.
    """
    kinds = ("batch", "estimate", "moving")
    head = ["network, data", "epoch", *(f'`"{kind}"`' for kind in kinds)]
    rows = []
    for measured in measured_sizes(study):
        by_epoch = {}
        for row in measured["rows"]:
            if row["small_batch"] == 32 and "noise_by_statistics" in row:
                by_epoch.setdefault(row["epoch"], []).append(row)
        for epoch, found in by_epoch.items():
            rows.append(
                [
                    measured["title"],
                    f"{epoch}",
                    *(span(ratios(found, kind)) for kind in kinds),
                ]
            )
    return markdown(head, rows)


def ratios(rows, statistics):
    """Noise by the noise scale over that measured, for batches of 32."""
    return [
        row["noise_by_statistics"][statistics]
        * row["batch"]
        / row["small_batch"]
        / row["small_noise"]
        for row in rows
    ]


def span(values):
    """The smallest and the largest value."""
    low, high = (
        f"{value:.0f}" if value >= 10 else f"{value:.2g}"
        for value in (min(values), max(values))
    )
    return low if low == high else f"{low} to {high}"
