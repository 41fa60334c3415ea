"""The tables of the README."""

from keras_lbreg.comparison.statistics import Stat, finals
from keras_lbreg.comparison.table import format_stat
from keras_lbreg.formatting import MISSING
from recipes.jaiswal_taura.configuration import (
    DECAYS,
    FAMILIES,
    FULL,
    PX104,
    SWEEP,
)
from recipes.jaiswal_taura.records import (
    accuracies,
    gain,
    name_of,
    verdict,
)
from recipes.study.cells import table as markdown


def percent(stat, signed=False):
    """`mean ± std (n)` of fractions, in per cent."""
    text = format_stat(stat, 2, 100, signed)
    return text if text == MISSING else f"{text} ({stat.n})"


def cell(study, family, batch, reading, arm):
    """An accuracy, with the number of seeds, and epochs where shortened."""
    values = accuracies(study, family, batch, reading, arm)
    text = percent(Stat.of(values.values()))
    results = study.results(name_of(family, batch, reading))
    epochs = results and results.manifest["config"]["epochs"]
    if values and epochs != family.epochs:
        text += f", {epochs} of {family.epochs} epochs"
    return text


def lines_of(batches):
    """Pairs of a batch and an arm, with the words for them."""
    yield 32, "small_batch", "without"
    for batch in batches:
        yield batch, "lr", "without"
        yield batch, "lr_noise", "with"


def table_2(study):
    """The paper's Table 2, beside runs at its own and at smaller size."""
    columns = [(f, r) for f in (FULL, PX104) for r in DECAYS]
    head = ["batch", "noise", "paper"] + [
        f"{f.stored[0]} px, decay {DECAYS[r]:g}" for f, r in columns
    ]
    rows = []
    for batch, arm, noise in lines_of(FULL.batches):
        stands = FULL.small_stands_with if batch == 32 else batch
        rows.append(
            [
                str(batch),
                noise,
                f"{FULL.paper[stands][arm]:.2f}",
                *(cell(study, f, batch, r, arm) for f, r in columns),
            ]
        )
    return markdown(head, rows)


def small_table(study, family):
    """Accuracies of a smaller version, and what the noise does to them.

    There are no rows for what was not run.
    """
    head = [
        "batch",
        "decay",
        "no noise",
        "noise",
        "noise minus none",
        "more than chance?",
        "as many updates, no noise",
    ]
    rows = []
    for reading in DECAYS:
        decay = f"{DECAYS[reading]:g}"
        small = cell(study, family, 32, reading, "small_batch")
        if small != MISSING:
            rows.append(["32", decay, small, *[MISSING] * 4])
        for batch in family.batches:
            arms = ("lr", "lr_noise", "lr_ra")
            none, noise, longer = (
                cell(study, family, batch, reading, arm) for arm in arms
            )
            if none == noise == longer == MISSING:
                continue
            difference = gain(
                accuracies(study, family, batch, reading, "lr_noise"),
                accuracies(study, family, batch, reading, "lr"),
            )
            rows.append(
                [
                    str(batch),
                    decay,
                    none,
                    noise,
                    format_stat(difference, 2, 100, signed=True),
                    verdict(difference) if difference.n else MISSING,
                    longer,
                ]
            )
    return markdown(head, rows)


def alpha_table(study):
    """Accuracy by alpha, for every family that was swept."""
    families = [
        f for f in FAMILIES.values() if study.results(f.sweep().name)
    ] or [FAMILIES["digits"]]
    head = ["alpha"]
    columns = []
    for family in families:
        head += [
            f"{family.title}, batch {family.swept}",
            "minus none",
            "more than chance?",
        ]
        columns.append(alpha_column(study, family))
    labels = ["batch 32, no noise", "no noise"]
    labels += [arm.title.removeprefix("alpha ") for arm in SWEEP.values()]
    return markdown(
        head,
        [
            [label, *(text for column in columns for text in column[index])]
            for index, label in enumerate(labels)
        ],
    )


def alpha_column(study, family):
    """Three texts for every row of `alpha_table`."""
    results = study.results(family.sweep().name)
    arms = ["small_batch", "lr", *(arm.name for arm in SWEEP.values())]
    values = [finals(results, arm) if results else {} for arm in arms]
    cells = []
    for arm, own in zip(arms, values, strict=True):
        text = percent(Stat.of(own.values()))
        if arm == "lr" or not own:
            cells.append((text, MISSING, MISSING))
            continue
        difference = gain(own, values[1])
        cells.append(
            (
                text,
                format_stat(difference, 2, 100, signed=True),
                verdict(difference),
            )
        )
    return cells


PLACES = (-0.5, 0.0, 0.5, 1.0, 1.5)


def interpolation_table(study):
    """Training loss at some places on the lines between minima."""
    head = ["network, data", "line", *(f"a = {a:g}" for a in PLACES)]
    rows = []
    for name in FAMILIES:
        content = study.measured(f"interpolation_{name}")
        if content is None:
            continue
        measured = content["measured"]
        for batch in sorted({line["batch"] for line in measured["lines"]}):
            lines = [x for x in measured["lines"] if x["batch"] == batch]
            row = [measured["title"], f"batch 32 to {batch}"]
            for place in PLACES:
                index = measured["positions"].index(place)
                loss = Stat.of(x["loss"]["train"][index] for x in lines)
                row.append(format_stat(loss, 3))
            rows.append(row)
    return markdown(head, rows)
