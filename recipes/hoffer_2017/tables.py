"""The tables of the README."""

from recipes.hoffer_2017.configuration import (
    COLUMNS,
    HABIT_ARMS,
    HABIT_COMPARISONS,
    ROWS,
)
from recipes.study.cells import (
    accuracy,
    commands_for_missing,
    difference,
    length,
    provenance,
    table,
)


def results_table(study):
    """The paper's table with our numbers under the paper's."""
    columns = (
        "network, data",
        "",
        "batch",
        *COLUMNS.values(),
        "epochs",
    )
    rows = []
    for comparison in ROWS:
        results = study.results(comparison.name)
        batch = f"{comparison.batch_size or comparison.recipe.batch_size}"
        title = comparison.title
        if comparison.paper:
            cells = [f"{comparison.paper[arm]:.2f}" for arm in COLUMNS]
            rows.append((title, "paper", batch, *cells, ""))
            title = ""
        cells = [accuracy(results, arm) for arm in COLUMNS]
        epochs = length(results, comparison.recipe.epochs)
        rows.append((title, "ours", batch, *cells, epochs))
    text = table(columns, rows)
    missing = commands_for_missing(study, ROWS)
    if missing:
        text += f"\nEmpty cells were not run. To fill them:\n\n{missing}"
    return f"{text}\n{origins(study, ROWS)}"


def effects_table(study):
    """Each column against the one before it, paired by seed."""
    steps = list(zip(list(COLUMNS)[1:], list(COLUMNS), strict=False))
    names = [f"{COLUMNS[a]} − {COLUMNS[b]}" for a, b in steps]
    rows = []
    for comparison in ROWS:
        results = study.results(comparison.name)
        if results is None:
            continue
        if comparison.paper:
            cells = [
                f"{comparison.paper[a] - comparison.paper[b]:+.2f}"
                for a, b in steps
            ]
            rows.append((comparison.title, "paper", *cells))
        cells = [difference(results, a, b) for a, b in steps]
        rows.append((comparison.title, "ours", *cells))
    return table(("network, data", "", *names), rows)


def habits_table(study):
    """F1 without one habit of the trainer at a time."""
    whole = study.results("f1")
    columns = (
        "F1, MNIST",
        *(COLUMNS[arm] for arm in HABIT_ARMS),
        "LB − SB",
        "GBN − LB",
    )

    def row(title, results):
        return (
            title,
            *(accuracy(results, arm) for arm in HABIT_ARMS),
            difference(results, "large_batch", "small_batch"),
            difference(results, "lr_gbn", "large_batch"),
        )

    rows = [row("the paper's setting", whole)]
    for comparison in HABIT_COMPARISONS:
        title = comparison.title.removeprefix("F1, MNIST, ")
        rows.append(row(title, study.results(comparison.name)))
    missing = commands_for_missing(study, HABIT_COMPARISONS)
    if missing:
        missing = f"\nEmpty cells were not run. To fill them:\n\n{missing}"
    return f"{table(columns, rows)}{missing}"


def origins(study, comparisons):
    """Where the numbers come from, one line for each origin."""
    by_origin = {}
    for comparison in comparisons:
        results = study.results(comparison.name)
        if results is not None:
            names = by_origin.setdefault(provenance(results), [])
            names.append(comparison.name)
    return "".join(
        f"- `{'`, `'.join(names)}`: {origin}.\n"
        for origin, names in by_origin.items()
    )


TABLES = {
    "results": results_table,
    "effects": effects_table,
    "habits": habits_table,
}
