"""The tables of the README, made of the results."""

import collections

from keras_lbreg.comparison.arms import BASELINE
from keras_lbreg.comparison.statistics import Stat, finals, holm
from keras_lbreg.comparison.table import format_stat
from keras_lbreg.formatting import MISSING, format_duration
from recipes.gradient_mix_2023.configuration import (
    CONCENTRATIONS,
    OPTIMIZERS,
    RATES,
    TUNED,
    grid,
    mix_name,
    number_name,
)
from recipes.gradient_mix_2023.measurement_tables import (
    agreement,
)
from recipes.study.cells import accuracy, difference, paired, provenance, table
from recipes.study.statistics import p_value, verdict


def rates(study):
    """Held-out accuracy of plain averaging by learning rate."""
    rows = []
    for name, title in OPTIMIZERS.items():
        results = study.results(f"{name}_rate")
        row = [title]
        for rate in RATES[name]:
            text = MISSING
            if results is not None:
                stat = Stat.of(
                    finals(results, f"rate_{number_name(rate)}").values()
                )
                text = format_stat(stat, 1, 100)
            chosen = "**" if rate == TUNED[name] else ""
            row.append(f"{chosen}{rate:g}: {text}{chosen}")
        rows.append(row)
    return table(["optimizer", *["rate: accuracy, %"] * 5], rows)


def differences(study):
    """The `Stat` of every mixing arm against plain averaging.

    Returns:
        A dictionary from `(optimizer, K, c)`, of the runs there are.
    """
    found = {}
    for name in OPTIMIZERS:
        results = study.results(f"{name}_mix")
        if results is None:
            continue
        for groups, concentration in grid(name):
            arm = mix_name(groups, concentration)
            if finals(results, arm):
                stat = paired(results, arm, BASELINE)
                found[name, groups, concentration] = stat
    return found


def mixing(study):
    """Differences to plain averaging, by optimizer, K and c."""
    rows = []
    for name, title in OPTIMIZERS.items():
        results = study.results(f"{name}_mix")
        plain = accuracy(results, BASELINE, 1)
        for groups in dict.fromkeys(k for k, _ in grid(name)):
            row = [f"{title}, K = {groups}", plain]
            row += [
                difference(results, mix_name(groups, c), BASELINE)
                for c in CONCENTRATIONS
            ]
            rows.append(row)
    header = ["", "plain, %", *(f"c = {c:g}" for c in CONCENTRATIONS)]
    return table(header, rows)


def pooled(study):
    """By optimizer: the mean difference over all of its K and c.

    Args:
        study: The `Study`.

    Returns:
        A dictionary from optimizer to the `Stat` over seeds.
    """
    found = {}
    for name in OPTIMIZERS:
        results = study.results(f"{name}_mix")
        if results is None:
            continue
        by_seed = collections.defaultdict(list)
        plain = finals(results, BASELINE)
        for pair in grid(name):
            for seed, final in finals(results, mix_name(*pair)).items():
                if seed in plain:
                    by_seed[seed].append(final - plain[seed])
        found[name] = Stat.of(sum(v) / len(v) for v in by_seed.values())
    return found


def verdicts(study):
    """How many of all comparisons exceed chance."""
    rows = []
    found = differences(study)
    together = pooled(study)
    for names in (*((name,) for name in OPTIMIZERS), tuple(OPTIMIZERS)):
        stats = [stat for key, stat in found.items() if key[0] in names]
        if not stats:
            continue
        judged = [verdict(stat) for stat in stats]
        mean = MISSING
        if len(names) == 1:
            stat = together[names[0]]
            mean = format_stat(stat, 2, 100, signed=True)
            mean = f"**{mean}**" if verdict(stat) else mean
        rows.append(
            [
                OPTIMIZERS[names[0]] if len(names) == 1 else "all",
                str(len(stats)),
                str(judged.count("better")),
                str(judged.count("worse")),
                f"{0.05 * len(stats):.1f}",
                str(sum(holm([p_value(stat) for stat in stats]))),
                mean,
            ]
        )
    header = [
        "optimizer",
        "comparisons",
        "better",
        "worse",
        "expected by chance",
        "left by Holm's method",
        "mean of all",
    ]
    return table(header, rows or [[MISSING] * len(header)])


def origins(study):
    """Where the numbers come from, one line for each origin."""
    by_origin = {}
    for comparison in study.comparisons:
        results = study.results(comparison.name)
        if results is not None:
            names = by_origin.setdefault(provenance(results), [])
            names.append(comparison.name)
    for measurement in study.measurements:
        file = study.measured(measurement.name)
        if file is not None:
            names = by_origin.setdefault(measured_at(file), [])
            names.append(measurement.name)
    return "".join(
        f"- `{'`, `'.join(names)}`: {origin}.\n"
        for origin, names in by_origin.items()
    )


def measured_at(file):
    """The provenance of a measurement, as that of results."""
    versions = file["versions"]
    backend = file["backend"]
    return (
        f"Keras {versions['keras']}, {backend} {versions[backend]}, "
        f"{file['cpu_count']} cores of an {file['device']}, commit "
        f"{(file['git_commit'] or 'unknown')[:7]}, "
        f"{format_duration(file['seconds'])}"
    )


TABLES = {
    "rates": rates,
    "mixing": mixing,
    "verdicts": verdicts,
    "agreement": agreement,
    "origins": origins,
}
