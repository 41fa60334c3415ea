"""What a comparison's runs come to: statistics, verdicts, two sentences."""

import dataclasses
import math
import statistics

from keras_lbreg.comparison.arms import BASELINE, REFERENCE, SCALING
from keras_lbreg.formatting import format_significant, is_missing

LEVEL = 0.05

# The ends of the scale.
ENDS = (REFERENCE, BASELINE)

# Numbers of a run whose mean an arm has.
OF_RUNS = ("final", "best", "updates", "time", "elapsed")

# Deviations below this are errors of rounding.
ROUNDING = 1e-9

# Points of a share, or parts of another objective, by which the moving
# statistics may lag behind before the headline says so.
LAG = 0.02
RELATIVE_LAG = 0.1


@dataclasses.dataclass(frozen=True)
class Stat:
    """Mean and sample deviation (n - 1); `nan` where there is none."""

    mean: float
    std: float
    n: int

    @classmethod
    def of(cls, values):
        """The statistic of some numbers; missing ones are left out."""
        values = [v for v in values if not is_missing(v)]
        return cls(
            statistics.fmean(values) if values else math.nan,
            statistics.stdev(values) if len(values) > 1 else math.nan,
            len(values),
        )


@dataclasses.dataclass(frozen=True)
class ArmStatistics:
    """What the finished runs of one arm come to, see `arm_statistics`."""

    arm: str
    title: str
    group: str
    finished: int
    final: Stat
    best: Stat
    gap: Stat
    closed: Stat
    # Against the control, by seed, above 0 where the arm is better: the 95 %
    # interval and the t test's p are those before Holm's correction.
    control: str
    difference: Stat
    difference_low: float
    difference_high: float
    p: float
    # "better", "chance" or "worse" after it; "" below two seeds.
    verdict: str
    updates: Stat
    time: Stat
    elapsed: Stat
    # Of the runs that reached the small batch's level.
    reached: int
    time_to_small: Stat
    epochs_to_small: Stat
    updates_to_small: Stat


def arm_statistics(results):
    """The statistics of every arm, in the manifest's order.

    With `a_s`, `S_s` and `L_s` the final objectives of an arm, the small
    batch and the large one, signed so that more is better, for each seed `s`
    that finished in all of them,

    ```
    gap_s   = S_s - a_s                          mean and std over seeds
    closed  = mean(a_s - L_s) / mean(S_s - L_s)
    its std = std(a_s - L_s - closed * (S_s - L_s)) / |mean(S_s - L_s)|
    ```

    Pairing by seed takes out what a seed does to all arms alike (first
    weights, order of the samples). The share is a ratio of means, since a
    ratio for each seed explodes where one seed's gap is small; its deviation
    is the usual linearisation (Cochran, "Sampling Techniques", chapter 6). It
    is `nan` where the large batch has no gap. The small batch's level is the
    mean final objective of its runs.
    """
    judged = judge_all(results)
    level = Stat.of(finals(results, REFERENCE).values()).mean
    rows = []
    for arm in results.arms:
        name = arm["name"]
        runs = finished_runs(results, name)
        hits = [e for r in runs if (e := first_reaching(results, r, level))]
        rows.append(
            ArmStatistics(
                arm=name,
                title=arm["title"],
                group=arm["group"],
                finished=len(runs),
                gap=Stat.of(paired(results, REFERENCE, name)),
                closed=share_closed(results, name),
                **judged[name],
                reached=len(hits),
                time_to_small=Stat.of(e.time for e in hits),
                epochs_to_small=Stat.of(e.epoch for e in hits),
                updates_to_small=Stat.of(e.updates for e in hits),
                **{k: Stat.of(getattr(r, k) for r in runs) for k in OF_RUNS},
            )
        )
    return rows


def finished_runs(results, arm):
    return [r for r in results.runs_of(arm) if r.status == "finished"]


def finals(results, arm):
    """The final objective of an arm's finished runs, by seed."""
    return {run.seed: run.final for run in finished_runs(results, arm)}


def paired(results, arm, control):
    """Differences of two arms by seed, above 0 where `arm` is better."""
    own, others = finals(results, arm), finals(results, control)
    return [results.sign * (own[s] - others[s]) for s in own if s in others]


def first_reaching(results, run, level):
    """The first record that is as good as the level, or `None`."""
    sign = results.sign
    good = (e for e in run.epochs if sign * e.objective >= sign * level)
    return next(good, None)


def share_closed(results, arm):
    """The share of the gap closed, see `arm_statistics`."""
    own, small, large = (finals(results, n) for n in (arm, REFERENCE, BASELINE))
    seeds = [s for s in own if s in small and s in large]
    gaps = [results.sign * (small[s] - large[s]) for s in seeds]
    gains = [results.sign * (own[s] - large[s]) for s in seeds]
    gap = statistics.fmean(gaps) if seeds else 0.0
    if gap <= 0:
        return Stat(math.nan, math.nan, len(seeds))
    share = statistics.fmean(gains) / gap
    rest = [gain - share * one for gain, one in zip(gains, gaps, strict=True)]
    return Stat(share, Stat.of(rest).std / gap, len(seeds))


def t_test(differences):
    """The 95 % interval of a mean and the two-sided p that it is 0.

    Where all differences are equal there is no noise to compare with: of two
    equal values, which accuracies of few samples may well be, nothing can be
    said; three or more are taken at their word.

    Reference: Student 1908, "The probable error of a mean".
    """
    mean, std, n = dataclasses.astuple(Stat.of(differences))
    if n < 2:
        return (math.nan, math.nan), math.nan
    if std < ROUNDING:
        return (mean, mean), float(n == 2 or abs(mean) < ROUNDING)
    # Not above: SciPy takes longer to import than all the rest.
    import scipy.stats

    found = scipy.stats.ttest_1samp(differences, 0.0)
    ends = found.confidence_interval(1 - LEVEL)
    return tuple(map(float, ends)), float(found.pvalue)


def holm(p_values):
    """Which of several tests stand when it counts how many were made.

    With m tests, the smallest p is compared with `LEVEL / m`, the next with
    `LEVEL / (m - 1)`, and so on up to the first that fails: the probability
    of one false statement or more is at most `LEVEL`. Those that are `nan` are
    no tests.

    Reference: Holm 1979, "A simple sequentially rejective multiple test
    procedure".
    """
    tests = sorted((p, i) for i, p in enumerate(p_values) if not is_missing(p))
    stands = [False] * len(p_values)
    for place, (p, i) in enumerate(tests):
        if p > LEVEL / (len(tests) - place):
            break
        stands[i] = True
    return stands


def judge(results, pairs):
    """Pairs of arm and control, one family of tests: `ArmStatistics`' part."""
    found = []
    for arm, control in pairs:
        values = paired(results, arm, control) if control else []
        (low, high), p = t_test(values)
        found.append(
            {
                "control": control or "",
                "difference": Stat.of(values),
                "difference_low": low,
                "difference_high": high,
                "p": p,
            }
        )
    stands = holm([test["p"] for test in found])
    for test, stand in zip(found, stands, strict=True):
        word = "better" if test["difference"].mean > 0 else "worse"
        unclear = "chance" if test["difference"].n > 1 else ""
        test["verdict"] = word if stand else unclear
    return found


def judge_all(results):
    """Every arm against its control, by the arm's name.

    All arms but the two references are one family of tests, corrected by
    Holm's method. The large batch against the small one is a test by itself:
    whether there is a gap at all.
    """
    names = results.arm_names
    references, others = [], []
    for arm in results.arms:
        name = arm["name"]
        # Its control, or what stands in for one that is not there.
        wanted = (arm.get("control"), SCALING, BASELINE)
        if name in ENDS:
            wanted = () if name == REFERENCE else (REFERENCE,)
        there = (c for c in wanted if c in names and c != name)
        family = references if name in ENDS else others
        family.append((name, next(there, None)))
    judged = judge(results, references) + judge(results, others)
    arms = (name for name, _ in references + others)
    return dict(zip(arms, judged, strict=True))


def headline(results):
    """What the large batch costs and what gives it back, in two sentences.

    One arm is said to be better than another only if the differences, taken
    seed by seed, exceed chance, corrected for the number of remedies: the
    best of many looks better than it is. With one seed there is no such
    measure, and the text says that.
    """
    return " ".join(filter(None, (gap_words(results), lag_words(results))))


def gap_words(results):
    rows = {row.arm: row for row in arm_statistics(results)}
    small, large = rows.get(REFERENCE), rows.get(BASELINE)
    if not (small and large and large.gap.n):
        return (
            "There is no finished run of both the small and the plain large "
            "batch, so there is no gap to compare with."
        )
    sizes = {arm["name"]: arm["batch_size"] for arm in results.arms}
    change = f"from batch {sizes[REFERENCE]:,} to {sizes[BASELINE]:,}"
    gap, seeds, words = large.gap.mean, large.gap.n, objective_words(results)
    better = titles(
        row
        for row in rows.values()
        if row.verdict == "better" and row.arm != BASELINE
    )
    better = better and f" Better than their controls all the same: {better}."
    if gap <= 0:
        gained = f" ({quantity(results, -gap)} gained)" if gap else ""
        return (
            f"Going {change} costs no {words} here{gained}, so there is no gap "
            f"to close.{better}"
        )
    text = f"Going {change} costs {quantity(results, gap)} of {words}"
    if seeds > 1 and large.verdict != "worse":
        return (
            f"{text}, which is within the noise of {seeds} seeds: how much "
            f"of it an arm gives back is unknown.{better}"
        )
    tried = [
        row
        for row in rows.values()
        if row.arm not in ENDS
        and row.group not in ("reference", "control")
        and not is_missing(row.closed.mean)
    ]
    tried.sort(key=lambda row: -row.closed.mean)
    text += f". {remedy_words(results, rows, tried, better)}"
    if seeds < 2:
        return f"{text} One seed only: treat it as a first look."
    remedies = "1 remedy" if len(tried) == 1 else f"{len(tried)} remedies"
    return (
        f"{text} Chance is judged by t tests of the differences by seed, "
        f"{seeds} seeds, with Holm's correction for {remedies}."
    )


def remedy_words(results, rows, tried, better):
    """Which arms help, the best first, and whether more than their control."""
    if not tried:
        return "No remedy has a finished run."
    judged = judge(results, [(row.arm, BASELINE) for row in tried])
    judged = [
        (row, sign_of(**test)) for row, test in zip(tried, judged, strict=True)
    ]
    # The best on paper may owe it to one lucky seed.
    helpful = [row for row, sign in judged if sign > 0]
    if not helpful:
        return (
            "No remedy gives back more than chance would; on paper "
            f"{tried[0].title} does best ({share(tried[0])}).{better}"
        )
    best, updates = helpful[0], rows[BASELINE].updates.mean
    text = f"{best.title} gives back {share(best)} of it"
    if best.updates.mean > updates:
        text += f", with {best.updates.mean / updates:.3g} times the updates"
    equal = [row for row in helpful if row.updates.mean <= updates]
    if equal and equal[0] is not best:
        text += (
            f". At the large batch's number of updates {equal[0].title} gives "
            f"back most, {share(equal[0])}"
        )
    if equal:
        text += against_control(rows, equal[0])
    worse = titles(row for row, sign in judged if sign < 0)
    if worse:
        text += f". Worse than the plain large batch: {worse}"
    return f"{text}."


def against_control(rows, row):
    """Whether the arm does more than the control it is judged against."""
    control = rows.get(row.control)
    if not control or control.arm in ENDS or is_missing(control.closed.mean):
        return ""
    scaling = control.arm == SCALING
    by = "learning-rate scaling" if scaling else control.title
    if sign_of(row.verdict, row.difference) > 0:
        return f", against {share(control)} by {by} alone"
    return f", no more than chance above {by} alone ({share(control)})"


def sign_of(verdict, difference, **_):
    """1 where an arm is better, -1 where it is worse, 0 where it is chance."""
    if verdict == "chance":
        return 0
    return (difference.mean > 0) - (difference.mean < 0)


def share(row):
    return f"{100 * row.closed.mean:.0f} %"


def titles(rows):
    return ", ".join(row.title for row in rows)


def objective_words(results):
    """`accuracy` for `val_accuracy`; a loss keeps its name."""
    if results.is_share:
        return results.objective.removeprefix("val_").replace("_", " ")
    return results.objective


def quantity(results, difference):
    """A difference of the objective, in points where it is a share."""
    if results.is_share:
        return f"{100 * difference:.1f} points"
    return format_significant(difference, 2)


def lag_words(results):
    """A warning where moving statistics alone would make a gap, or `""`."""
    lags = []
    for arm in results.arms:
        runs = finished_runs(results, arm["name"])
        name = f"moving_{results.objective}"
        lag = Stat.of(
            results.sign * (run.final - run.epochs[-1].logs.get(name, math.nan))
            for run in runs
        ).mean
        final = Stat.of(abs(run.final) for run in runs).mean
        if lag > (LAG if results.is_share else RELATIVE_LAG * final):
            lags.append((lag, arm["title"]))
    if not lags:
        return ""
    lags.sort(key=lambda pair: -pair[0])
    named = [f"{title} by {quantity(results, lag)}" for lag, title in lags[:2]]
    if len(lags) > 2:
        named.append(f"{len(lags) - 2} more")
    return (
        "With the moving statistics of batch normalization, which lag behind "
        "after few updates, results would look worse "
        f"({', '.join(named)}): that is no loss of generalisation, and all "
        "numbers here are with re-estimated statistics."
    )
