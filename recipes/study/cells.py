"""Cells of a recipe's tables."""

from keras_lbreg.comparison.statistics import Stat, finals
from keras_lbreg.comparison.table import format_stat
from recipes.study.statistics import verdict


def table(columns, rows):
    """A Markdown table; the first column to the left, the others right."""
    rule = [":--", *["--:"] * (len(columns) - 1)]
    return "".join(f"| {' | '.join(row)} |\n" for row in (columns, rule, *rows))


def accuracy(results, arm, decimals=2):
    """Final validation accuracy of an arm in per cent, or an empty cell.

    `"98.31 ± 0.05 (3)"`, the number of seeds in brackets.
    """
    values = list(finals(results, arm).values()) if results else []
    if not values:
        return ""
    return f"{format_stat(Stat.of(values), decimals, 100)} ({len(values)})"


def difference(results, arm, other, decimals=2):
    """Accuracy of an arm minus another's in points, paired by seed.

    Bold where it exceeds chance.
    """
    gain = paired(results, arm, other)
    if not gain.n:
        return ""
    text = format_stat(gain, decimals, 100, signed=True)
    text = f"**{text}**" if verdict(gain) else text
    return f"{text} ({gain.n})"


def paired(results, arm, other):
    """The `Stat` of the differences of two arms by seed, as fractions."""
    if results is None:
        return Stat.of([])
    own, others = finals(results, arm), finals(results, other)
    return Stat.of(own[seed] - others[seed] for seed in own if seed in others)


def length(results, epochs):
    """The epochs that were run, said to be short where the paper has more."""
    if results is None:
        return ""
    run = results.manifest["config"]["epochs"]
    return f"{run}" if run == epochs else f"{run} of {epochs} (shortened)"


def provenance(results):
    """Where results come from, in a sentence."""
    manifest = results.manifest
    versions = manifest["versions"]
    backend = manifest["backend"]
    names = {"tensorflow": "TensorFlow", "jax": "JAX"}
    return (
        f"{manifest['workload']['title']}, {names[backend]} "
        f"{versions[backend]}, Keras {versions['keras']}, "
        f"{manifest['cpu_count']} cores of an {manifest['device']}, commit "
        f"{(manifest['git_commit'] or 'unknown')[:7]}"
    )


def commands_for_missing(study, comparisons):
    """The commands that would fill the empty cells, as a Markdown list."""
    lines = []
    for comparison in comparisons:
        results = study.results(comparison.name)
        missing = [arm for arm in comparison.arms if not accuracy(results, arm)]
        if not missing:
            continue
        words = []
        if missing != list(comparison.arms):
            words += ["--arms", ",".join(missing)]
        if results is not None:
            run = results.manifest["config"]["epochs"]
            if run != comparison.recipe.epochs:
                words += ["--epochs", str(run)]
        command = study.command(comparison.name, *words)
        lines.append(f"- {comparison.title}: `{command}`\n")
    return "".join(lines)
