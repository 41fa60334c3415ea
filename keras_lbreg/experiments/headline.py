"""The result of a comparison in two or three sentences."""

import math

from keras_lbreg.experiments.arms import BASELINE, REFERENCE
from keras_lbreg.experiments.statistics import arm_statistics, gap_is_resolved


def headline(results):
    """Say what the large batch costs and what gives it back.

    An arm is said to help only if its gain over the large batch exceeds two
    standard errors over the seeds. With one seed there is no such measure,
    and the sentence says so.

    Args:
        results: A `Results`.

    Returns:
        A string.
    """
    rows = {row.arm: row for row in arm_statistics(results)}
    small, large = rows.get(REFERENCE), rows.get(BASELINE)
    if not (small and large and small.finished and large.finished):
        return (
            "There is no finished run of both the small and the plain large "
            "batch, so there is no gap to compare with."
        )
    gap = 100 * large.gap.mean
    sizes = {arm["name"]: arm["batch_size"] for arm in results.arms}
    change = f"from batch {sizes[REFERENCE]} to {sizes[BASELINE]:,}"
    single = large.gap.n < 2
    if gap <= 0:
        return (
            f"Going {change} costs no accuracy here ({-gap:.1f} points "
            "gained), so there is no gap to close."
        )
    text = f"Going {change} costs {gap:.1f} points of accuracy"
    if not single and not gap_is_resolved(results):
        return (
            f"{text}, which is within the noise of {large.gap.n} seeds: this "
            "comparison cannot tell the arms apart."
        )
    text += f". {_remedies(rows, large)}"
    if single:
        text += " One seed only: treat it as a first look."
    return text


def _remedies(rows, large):
    others = [
        row
        for name, row in rows.items()
        if name not in (REFERENCE, BASELINE) and not math.isnan(row.closed.mean)
    ]
    if not others:
        return "No remedy has a finished run."
    others.sort(key=lambda row: -row.closed.mean)
    best = others[0]
    if not _helps(best):
        return f"None of {len(others)} remedies gives back more than chance."
    text = f"{best.title} gives back {_share(best)} of it"
    same_budget = [r for r in others if r.updates.mean <= large.updates.mean]
    if best.updates.mean > large.updates.mean:
        times = best.updates.mean / large.updates.mean
        text += f", with {times:.0f} times the updates"
        if same_budget and _helps(same_budget[0]):
            second = same_budget[0]
            text += (
                f"; at the same number of updates {second.title} gives back "
                f"{_share(second)}"
            )
    worse = [row for row in others if row.closed.mean < 0]
    if worse:
        names = ", ".join(row.title for row in worse)
        text += f". Worse than the plain large batch: {names}"
    return f"{text}."


def _helps(row):
    if row.closed.n < 2:
        return row.closed.mean > 0
    return row.closed.mean > 2 * row.closed.std / math.sqrt(row.closed.n)


def _share(row):
    return f"{100 * row.closed.mean:.0f} %"
