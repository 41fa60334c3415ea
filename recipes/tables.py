"""The tables of the READMEs, made of the records."""

import collections
import functools
import re

from keras_lbreg.comparison.statistics import (
    LEVEL,
    Stat,
    finals,
    finished_runs,
    t_test,
)
from keras_lbreg.comparison.table import format_stat
from keras_lbreg.formatting import MISSING, format_duration, markdown_table

TABLE = re.compile(
    r"(<!-- table: (\w+) -->\n)(.*?)(<!-- end of table -->)", re.DOTALL
)


def render(text, tables, name):
    """A page with its tables made anew, each by a function."""
    asked = {match[2] for match in TABLE.finditer(text)}
    if asked != set(tables):
        raise ValueError(
            f"{name} and what makes its tables disagree about them. "
            f"Expected {sorted(tables)}. Received: {sorted(asked)}"
        )
    return TABLE.sub(
        lambda match: f"{match[1]}{tables[match[2]]()}{match[4]}", text
    )


def render_readme(paper):
    """The README with its tables made anew: itself, if they agree."""
    tables = {
        name: functools.partial(make, paper)
        for name, make in paper.tables.items()
    }
    text = (paper.folder / "README.md").read_text("utf-8")
    return render(text, tables, f"{paper.name}/README.md")


def accuracy(results, arm, decimals=2):
    """`98.31 ± 0.05 (3)`: the final accuracy in per cent and the seeds."""
    stat = Stat.of(finals(results, arm).values() if results else ())
    if not stat.n:
        return ""
    return f"{format_stat(stat, decimals, 100)} ({stat.n})"


def differences(results, arm, other):
    """Final accuracy of an arm less another's, by the seeds they share."""
    if results is None:
        return []
    own, others = finals(results, arm), finals(results, other)
    return [own[seed] - others[seed] for seed in own if seed in others]


def difference(results, arm, other):
    """Accuracy of an arm less another's in points, paired by seed."""
    return gain_cell(differences(results, arm, other))


def gain_cell(values, decimals=2, count=True):
    """Paired differences in points, bold where they exceed chance."""
    stat = Stat.of(values)
    if not stat.n:
        return ""
    text = format_stat(stat, decimals, 100, signed=True)
    text = f"**{text}**" if verdict(values) else text
    return f"{text} ({stat.n})" if count else text


def verdict(values):
    """`"better"`, `"worse"`, or `""` where it may be chance, uncorrected."""
    values = list(values)
    if not t_test(values)[1] <= LEVEL:
        return ""
    return "better" if Stat.of(values).mean > 0 else "worse"


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
    """A row for each arm with `cell(results, arm)` of each comparison.

    `heads` are the columns' names, `arms` the titles by arm name.
    """
    found = [paper.results(comparison.name) for comparison in comparisons]

    def text(results, arm):
        known = results is not None and arm in results.arm_names
        return cell(results, arm) if known else MISSING

    rows = [
        (title, *(text(results, arm) for results in found))
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
    groups = collections.defaultdict(list)
    for comparison in paper.comparisons:
        for results in paper.records(comparison.name):
            ended = len(results.runs)
            total = len(results.arms) * len(results.manifest["seeds"])
            part = f"{ended} of {total}" if ended < total else f"{ended}"
            what = f"`{results.path.stem}` ({part})"
            seconds = sum(run.time for run in results.runs)
            groups[made_with(results.manifest)].append((what, seconds))
    for measurement in paper.measurements:
        content = paper.measured(measurement.name)
        if content is not None:
            found = f"`{measurement.name}`", content["seconds"]
            groups[made_with(content)].append(found)
    rows = []
    for key, found in groups.items():
        names, seconds = zip(*found, strict=True)
        rows.append((", ".join(names), *key, format_duration(sum(seconds))))
    return markdown_table(("what (runs)", "commit", "with", "training"), rows)


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
