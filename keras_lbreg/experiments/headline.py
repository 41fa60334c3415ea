"""The result of a comparison in a few sentences."""

import math

from keras_lbreg.experiments.arms import BASELINE, REFERENCE
from keras_lbreg.experiments.statistics import (
    Stat,
    arm_statistics,
    exceeds_chance,
    finals,
    gap_is_resolved,
)

SCALING = "lr"


def headline(results):
    """Say what the large batch costs and what gives it back.

    One arm is said to be better than another only if the differences, taken
    seed by seed, exceed chance (`exceeds_chance`). The text says so, and how
    many remedies were tried: the best of many looks better than it is. With
    one seed there is no such measure, and the text says that.

    Args:
        results: A `Results`.

    Returns:
        A string.
    """
    rows = {row.arm: row for row in arm_statistics(results)}
    small, large = rows.get(REFERENCE), rows.get(BASELINE)
    if not (small and large and large.gap.n):
        return (
            "There is no finished run of both the small and the plain large "
            "batch, so there is no gap to compare with."
        )
    gap = 100 * large.gap.mean
    sizes = {arm["name"]: arm["batch_size"] for arm in results.arms}
    change = f"from batch {sizes[REFERENCE]} to {sizes[BASELINE]:,}"
    if gap <= 0:
        return (
            f"Going {change} costs no accuracy here ({-gap:.1f} points "
            "gained), so there is no gap to close."
        )
    text = f"Going {change} costs {gap:.1f} points of accuracy"
    single = large.gap.n < 2
    if not single and not gap_is_resolved(results):
        return (
            f"{text}, which is within the noise of {large.gap.n} seeds: this "
            "comparison cannot tell the arms apart."
        )
    tried = tried_remedies(rows)
    text += f". {remedies(results, rows, tried)}"
    if single:
        return f"{text} One seed only: treat it as a first look."
    remedy = "1 remedy" if len(tried) == 1 else f"{len(tried)} remedies"
    return (
        f"{text} Chance is judged by a 95 % t interval of the differences by "
        f"seed, {large.gap.n} seeds; {remedy} tried, not corrected for."
    )


def tried_remedies(rows):
    """The arms that may close the gap, the best first."""
    tried = [
        row
        for row in rows.values()
        if row.group not in ("reference", "control")
        and not math.isnan(row.closed.mean)
    ]
    return sorted(tried, key=lambda row: -row.closed.mean)


def remedies(results, rows, tried):
    """Say which arms help, and whether they do more than a scaled rate."""
    if not tried:
        return "No remedy has a finished run."
    # The best on paper may owe it to one lucky seed.
    helpful = [row for row in tried if is_better(results, row.arm, BASELINE)]
    if not helpful:
        return "No remedy gives back more than chance would."
    best, large = helpful[0], rows[BASELINE]
    text = f"{best.title} gives back {share(best)} of it"
    if best.updates.mean > large.updates.mean:
        times = best.updates.mean / large.updates.mean
        text += f", with {times:.0f} times the updates"
    equal = [row for row in helpful if row.updates.mean <= large.updates.mean]
    if equal and equal[0] is not best:
        text += (
            f". At the large batch's number of updates {equal[0].title} gives "
            f"back most, {share(equal[0])}"
        )
    scaling = rows.get(SCALING)
    if equal and scaling in tried and equal[0] is not scaling:
        verdict = (
            f"against {share(scaling)} by learning-rate scaling alone"
            if is_better(results, equal[0].arm, SCALING)
            else "no more than chance above learning-rate scaling alone "
            f"({share(scaling)})"
        )
        text += f", {verdict}"
    worse = [r.title for r in tried if is_better(results, BASELINE, r.arm)]
    if worse:
        text += f". Worse than the plain large batch: {', '.join(worse)}"
    return f"{text}."


def is_better(results, arm, other):
    """Whether `arm` ends above `other` by more than chance, as far as known."""
    own, others = finals(results, arm), finals(results, other)
    gain = Stat.of(own[seed] - others[seed] for seed in own if seed in others)
    return exceeds_chance(gain) if gain.n > 1 else gain.mean > 0


def share(row):
    return f"{100 * row.closed.mean:.0f} %"
