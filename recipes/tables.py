"""The tables of the READMEs, made of the records."""

import re

from keras_lbreg.comparison.statistics import (
    LEVEL,
    Stat,
    finals,
    finished_runs,
    t_test,
)
from keras_lbreg.comparison.table import format_stat
from keras_lbreg.files import write_file
from keras_lbreg.formatting import MISSING, format_duration, markdown_table

TABLE = re.compile(
    r"(<!-- table: (\w+) -->\n)(.*?)(<!-- end of table -->)", re.DOTALL
)


def render_readme(paper):
    """The README's text with all its tables made anew.

    Equal to the file where tables and records agree.

    Raises:
        ValueError: The README asks for a table that the paper does not have,
            or leaves one out.
    """
    text = (paper.folder / "README.md").read_text("utf-8")
    asked = {match[2] for match in TABLE.finditer(text)}
    if asked != set(paper.tables):
        raise ValueError(
            f"{paper.name}/README.md and the recipe disagree about tables. "
            f"Expected {sorted(paper.tables)}. Received: {sorted(asked)}"
        )
    return TABLE.sub(
        lambda match: f"{match[1]}{paper.tables[match[2]](paper)}{match[4]}",
        text,
    )


def rewrite_readme(paper):
    """Writes the README with its tables made anew; returns its path."""
    path = paper.folder / "README.md"
    write_file(path, render_readme(paper))
    return path


def accuracy(results, arm, decimals=2):
    """The final accuracy of an arm in per cent, or an empty cell.

    `"98.31 ± 0.05 (3)"`, the number of seeds in brackets.
    """
    return stat_cell(finals(results, arm).values(), decimals) if results else ""


def stat_cell(values, decimals=2, signed=False):
    """Mean, deviation and number of shares, in per cent."""
    stat = Stat.of(values)
    if not stat.n:
        return ""
    return f"{format_stat(stat, decimals, 100, signed)} ({stat.n})"


def differences(results, arm, other):
    """Final accuracy of an arm less another's, by the seeds they share."""
    if results is None:
        return []
    own, others = finals(results, arm), finals(results, other)
    return [own[seed] - others[seed] for seed in own if seed in others]


def difference(results, arm, other, decimals=2):
    """Accuracy of an arm less another's in points, paired by seed."""
    return gain_cell(differences(results, arm, other), decimals)


def gain_cell(values, decimals=2, count=True):
    """Paired differences in points, bold where they exceed chance."""
    stat = Stat.of(values)
    if not stat.n:
        return ""
    text = format_stat(stat, decimals, 100, signed=True)
    text = f"**{text}**" if verdict(values) else text
    return f"{text} ({stat.n})" if count else text


def verdict(values):
    """`"better"`, `"worse"`, or `""` where it may be chance.

    By the 95 % t interval of paired differences, one by one: nothing is
    corrected for their number.
    """
    values = list(values)
    if not t_test(values)[1] <= LEVEL:
        return ""
    return "better" if Stat.of(values).mean > 0 else "worse"


def failures(results, arm):
    """How many runs failed, in words, or nothing."""
    failed = [r for r in results.runs_of(arm) if r.status == "failed"]
    return f", {len(failed)} failed" if failed else ""


def length(results, epochs):
    """The epochs that were run, said to be short where the paper has more."""
    run = results.manifest["config"]["epochs"]
    return f"{run}" if run == epochs else f"{run} of {epochs} (shortened)"


def is_moving(results):
    """Whether arms are judged with the moving statistics."""
    return results.objective.startswith("moving_")


def judgement(results):
    return "moving" if is_moving(results) else "re-estimated"


def arm_matrix(paper, comparisons, heads, arms, cell):
    """A row for each arm, a column for each comparison.

    Args:
        paper: The `Paper`.
        comparisons: The `Comparison`s.
        heads: What the columns are called.
        arms: Titles by arm name.
        cell: `cell(results, arm)` is the text.
    """
    found = [paper.results(comparison.name) for comparison in comparisons]
    rows = [
        [
            title,
            *(
                cell(results, arm)
                if results is not None and arm in results.arm_names
                else MISSING
                for results in found
            ),
        ]
        for arm, title in arms.items()
    ]
    return markdown_table(["arm", *heads], rows)


def not_run(paper, comparisons):
    """The command that runs what there is no record of, as a sentence."""
    names = [c.name for c in comparisons if not paper.records(c.name)]
    if not names:
        return ""
    return (
        f"\nNot run: `python -m recipes {paper.name} run {' '.join(names)}`\n"
    )


def runs_table(paper):
    """On what, at which commit and how often each part was run."""
    groups = {}
    for comparison in paper.comparisons:
        for results in paper.records(comparison.name):
            manifest = results.manifest
            ended = len(results.runs)
            total = len(results.arms) * len(manifest["seeds"])
            part = f"{ended} of {total}" if ended < total else f"{ended}"
            name = f"`{results.path.stem}` ({part})"
            seconds = sum(run.time for run in results.runs)
            found = groups.setdefault(made_with(manifest), ([], []))
            found[0].append(name)
            found[1].append(seconds)
    for measurement in paper.measurements:
        content = paper.measured(measurement.name)
        if content is not None:
            found = groups.setdefault(made_with(content), ([], []))
            found[0].append(f"`{measurement.name}`")
            found[1].append(content["seconds"])
    return markdown_table(
        ["what (runs)", "commit", "with", "training"],
        [
            [", ".join(names), *key, format_duration(sum(seconds))]
            for key, (names, seconds) in groups.items()
        ],
    )


def made_with(content):
    """Commit, and versions and device, of a manifest or a measurement."""
    versions, backend = content["versions"], content["backend"]
    return (
        (content["git_commit"] or "unknown")[:7],
        f"Keras {versions['keras']}, {backend} {versions[backend]}, "
        f"{content['cpu_count']} cores of an {content['device']}",
    )


def by_seed(results, arm):
    """The finished runs of an arm by seed."""
    return {run.seed: run for run in finished_runs(results, arm)}
