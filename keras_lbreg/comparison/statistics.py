"""What a comparison's runs come to: statistics, verdicts, two sentences."""

import dataclasses
import math
import statistics

from keras_lbreg.comparison.arms import BASELINE, REFERENCE, SCALING
from keras_lbreg.formatting import format_significant

LEVEL = 0.05

# Deviations below this are errors of rounding.
ROUNDING = 1e-9

# Points of a share, or parts of another objective, by which the moving
# statistics may lag behind before the headline says so.
LAG = 0.02
RELATIVE_LAG = 0.1


@dataclasses.dataclass(frozen=True)
class Stat:
    """Mean and sample standard deviation over seeds.

    Args:
        mean: The mean, `nan` where there is no value.
        std: The sample standard deviation (`n - 1`), `nan` below two values.
        n: Number of values.

    Example:

    >>> Stat.of([1.0, 2.0, 3.0])
    Stat(mean=2.0, std=1.0, n=3)
    """

    mean: float
    std: float
    n: int

    @classmethod
    def of(cls, values):
        """The statistic of some numbers; missing ones are left out."""
        values = [v for v in values if v is not None and not math.isnan(v)]
        return cls(
            statistics.fmean(values) if values else math.nan,
            statistics.stdev(values) if len(values) > 1 else math.nan,
            len(values),
        )


@dataclasses.dataclass(frozen=True)
class Verdict:
    """An arm against its control.

    Args:
        arm: Name of the arm.
        control: Name of its control, `None` where it has none.
        difference: Arm against control by seed, above 0 where it is better.
        interval: The 95 % t interval of the difference's mean.
        p: The two-sided p value of the t test, before Holm's correction.
        word: `"better"`, `"chance"` or `"worse"` after it; `""` below two
            seeds.
    """

    arm: str
    control: str | None
    difference: Stat
    interval: tuple
    p: float
    word: str


@dataclasses.dataclass(frozen=True)
class ArmStatistics:
    """What the runs of one arm come to. Only finished runs count.

    Args:
        arm: Name of the arm.
        title: Its title.
        group: Its group, see `Arm`.
        finished: Number of finished runs.
        final: The objective after the last epoch.
        best: The best objective of each run.
        gap: How much worse than the small batch it ends, seed by seed.
        closed: Share of the large batch's gap that the arm closes.
        verdict: The `Verdict` against its control.
        updates: Optimizer updates of a run.
        time: Seconds of training of a run.
        elapsed: All seconds of a run, with compilation and validation.
        reached: Number of runs that reached the small batch's level.
        time_to_small: Seconds of training until they did.
        epochs_to_small: Epochs until they did.
        updates_to_small: Updates until they did.
    """

    arm: str
    title: str
    group: str
    finished: int
    final: Stat
    best: Stat
    gap: Stat
    closed: Stat
    verdict: Verdict
    updates: Stat
    time: Stat
    elapsed: Stat
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
    is the usual linearisation of a ratio of paired means. It is `nan` where
    the large batch has no gap.

    "Reached the small batch's level" is the first recorded epoch that is at
    least as good as the mean final objective of the small batch's runs.

    Args:
        results: A `Results`.

    Returns:
        A list of `ArmStatistics`.

    Example:

    >>> for row in arm_statistics(read_results("runs/digits")):
    ...     print(row.title, row.final.mean)

    Reference: the ratio estimator is found in Cochran, "Sampling
    Techniques", chapter 6.
    """
    judged = verdicts(results)
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
                final=Stat.of(r.final for r in runs),
                best=Stat.of(r.best for r in runs),
                gap=Stat.of(paired(results, REFERENCE, name)),
                closed=share_closed(results, name),
                verdict=judged[name],
                updates=Stat.of(r.updates for r in runs),
                time=Stat.of(r.time for r in runs),
                elapsed=Stat.of(r.elapsed for r in runs),
                reached=len(hits),
                time_to_small=Stat.of(e.time for e in hits),
                epochs_to_small=Stat.of(e.epoch for e in hits),
                updates_to_small=Stat.of(e.updates for e in hits),
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
    sign = 1 if results.maximize else -1
    return [sign * (own[s] - others[s]) for s in own if s in others]


def first_reaching(results, run, level):
    """The first record that is as good as the level, or `None`."""
    sign = 1 if results.maximize else -1
    return next(
        (
            e
            for e in run.epochs
            if is_number(e.objective) and sign * e.objective >= sign * level
        ),
        None,
    )


def is_number(value):
    return value is not None and not math.isnan(value)


def share_closed(results, arm):
    """The share of the gap closed, see `arm_statistics`."""
    named = [finals(results, name) for name in (arm, REFERENCE, BASELINE)]
    seeds = [s for s in named[0] if s in named[1] and s in named[2]]
    sign = 1 if results.maximize else -1
    own, small, large = ([sign * v[s] for s in seeds] for v in named)
    gaps = [s - w for s, w in zip(small, large, strict=True)]
    gains = [a - w for a, w in zip(own, large, strict=True)]
    gap = statistics.fmean(gaps) if seeds else 0.0
    if gap <= 0:
        return Stat(math.nan, math.nan, len(seeds))
    share = statistics.fmean(gains) / gap
    rest = [gain - share * one for gain, one in zip(gains, gaps, strict=True)]
    return Stat(share, Stat.of(rest).std / gap, len(seeds))


def interval(differences, level=LEVEL):
    """The t interval of the mean of paired differences.

    Args:
        differences: The differences.
        level: Probability that the true mean lies outside.

    Returns:
        The pair of its ends, `nan` below two values.

    Reference: Student 1908, "The probable error of a mean".
    """
    stat = Stat.of(differences)
    if stat.n < 2:
        return (math.nan, math.nan)
    # Not above: SciPy takes longer to import than all the rest.
    import scipy.stats

    quantile = scipy.stats.t.ppf(1 - level / 2, stat.n - 1)
    reach = float(quantile) * stat.std / math.sqrt(stat.n)
    return (stat.mean - reach, stat.mean + reach)


def p_value(differences):
    """The two-sided p value of the t test that the mean difference is 0.

    Where all differences are equal there is no noise to compare with: of two
    equal values, which accuracies of few samples may well be, nothing can be
    said; three or more are taken at their word.

    Args:
        differences: The differences.

    Returns:
        A number in `[0, 1]`, `nan` below two values.
    """
    stat = Stat.of(differences)
    if stat.n < 2:
        return math.nan
    if stat.std < ROUNDING:
        return 1.0 if stat.n == 2 or abs(stat.mean) < ROUNDING else 0.0
    import scipy.stats

    return float(scipy.stats.ttest_1samp(list(differences), 0.0).pvalue)


def holm(p_values, level=LEVEL):
    """Which of several tests stand when it counts how many were made.

    With m tests, the smallest p is compared with `level / m`, the next with
    `level / (m - 1)`, and so on up to the first that fails: the probability
    of one false statement or more is at most `level`.

    Args:
        p_values: The p values; those that are `nan` are no tests.
        level: The level of all of them together.

    Returns:
        A list of booleans.

    Reference: Holm 1979, "A simple sequentially rejective multiple test
    procedure".
    """
    order = [i for i, p in enumerate(p_values) if not math.isnan(p)]
    stands = [False] * len(p_values)
    for place, i in enumerate(sorted(order, key=lambda i: p_values[i])):
        if p_values[i] > level / (len(order) - place):
            break
        stands[i] = True
    return stands


def judge(results, pairs):
    """The `Verdict`s of pairs of arm and control, one family of tests."""
    differences = [
        paired(results, arm, control) if control else []
        for arm, control in pairs
    ]
    p_values = [p_value(values) for values in differences]
    judged = []
    for (arm, control), values, p, stands in zip(
        pairs, differences, p_values, holm(p_values), strict=True
    ):
        stat = Stat.of(values)
        word = "better" if stat.mean > 0 else "worse"
        if stat.n < 2:
            word = ""
        elif not stands:
            word = "chance"
        judged.append(Verdict(arm, control, stat, interval(values), p, word))
    return judged


def verdicts(results):
    """The `Verdict` of every arm against its control, by the arm's name.

    All arms but the two references are one family of tests, corrected by
    Holm's method. The large batch against the small one is a test by itself:
    whether there is a gap at all.

    Args:
        results: A `Results`.

    Returns:
        A dictionary.
    """
    pairs = [(arm["name"], control_of(arm, results)) for arm in results.arms]
    references = [p for p in pairs if p[0] in (REFERENCE, BASELINE)]
    others = [pair for pair in pairs if pair not in references]
    judged = judge(results, references) + judge(results, others)
    return {verdict.arm: verdict for verdict in judged}


def control_of(arm, results):
    """The arm's control, or what stands in for one that is not there."""
    if arm["name"] == REFERENCE:
        return None
    names = {other["name"] for other in results.arms} - {arm["name"]}
    wanted = (arm.get("control"), SCALING, BASELINE)
    if arm["name"] == BASELINE:
        wanted = (REFERENCE,)
    return next((name for name in wanted if name in names), None)


def headline(results):
    """What the large batch costs and what gives it back, in two sentences.

    One arm is said to be better than another only if the differences, taken
    seed by seed, exceed chance, corrected for the number of remedies: the
    best of many looks better than it is. With one seed there is no such
    measure, and the text says that.

    Args:
        results: A `Results`.

    Returns:
        A string.
    """
    lag = lag_sentence(results)
    return _headline(results) + (f" {lag}" if lag else "")


def _headline(results):
    rows = {row.arm: row for row in arm_statistics(results)}
    small, large = rows.get(REFERENCE), rows.get(BASELINE)
    if not (small and large and large.gap.n):
        return (
            "There is no finished run of both the small and the plain large "
            "batch, so there is no gap to compare with."
        )
    sizes = {arm["name"]: arm["batch_size"] for arm in results.arms}
    change = f"from batch {sizes[REFERENCE]:,} to {sizes[BASELINE]:,}"
    gap, seeds = large.gap.mean, large.gap.n
    if gap <= 0:
        gained = f" ({quantity(results, -gap)} gained)" if gap else ""
        return (
            f"Going {change} costs no {objective_words(results)} "
            f"here{gained}, so there is no gap to close.{still_better(rows)}"
        )
    text = (
        f"Going {change} costs {quantity(results, gap)} of "
        f"{objective_words(results)}"
    )
    if seeds > 1 and not p_value(paired(results, REFERENCE, BASELINE)) <= LEVEL:
        return (
            f"{text}, which is within the noise of {seeds} seeds: how much "
            f"of it an arm gives back is unknown.{still_better(rows)}"
        )
    tried = tried_remedies(rows)
    text += f". {remedies(results, rows, tried)}"
    if seeds < 2:
        return f"{text} One seed only: treat it as a first look."
    remedy = "1 remedy" if len(tried) == 1 else f"{len(tried)} remedies"
    return (
        f"{text} Chance is judged by t tests of the differences by seed, "
        f"{seeds} seeds, with Holm's correction for {remedy}."
    )


def still_better(rows):
    """The arms that beat their control where there is no gap to speak of."""
    better = [r.title for r in rows.values() if r.verdict.word == "better"]
    better = [title for title in better if title != rows[BASELINE].title]
    if not better:
        return ""
    return f" Better than their controls all the same: {', '.join(better)}."


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


def tried_remedies(rows):
    """The arms that may close the gap, the best first."""
    tried = [
        row
        for row in rows.values()
        if row.arm not in (REFERENCE, BASELINE)
        and row.group not in ("reference", "control")
        and not math.isnan(row.closed.mean)
    ]
    return sorted(tried, key=lambda row: -row.closed.mean)


def remedies(results, rows, tried):
    """Which arms help, and whether they do more than their control."""
    if not tried:
        return "No remedy has a finished run."
    against_large = {
        v.arm: v for v in judge(results, [(r.arm, BASELINE) for r in tried])
    }
    # The best on paper may owe it to one lucky seed.
    helpful = [row for row in tried if is_better(against_large[row.arm])]
    if not helpful:
        return (
            "No remedy gives back more than chance would; on paper "
            f"{tried[0].title} does best ({share(tried[0])})."
        )
    best, large = helpful[0], rows[BASELINE]
    text = f"{best.title} gives back {share(best)} of it"
    if best.updates.mean > large.updates.mean:
        times = best.updates.mean / large.updates.mean
        text += f", with {times:.3g} times the updates"
    equal = [row for row in helpful if row.updates.mean <= large.updates.mean]
    if equal and equal[0] is not best:
        text += (
            f". At the large batch's number of updates {equal[0].title} gives "
            f"back most, {share(equal[0])}"
        )
    if equal:
        text += against_control(rows, equal[0])
    worse = [
        r.title for r in tried if is_better(against_large[r.arm], "worse", -1)
    ]
    if worse:
        text += f". Worse than the plain large batch: {', '.join(worse)}"
    return f"{text}."


def against_control(rows, row):
    """Whether the arm does more than the control it is judged against."""
    control = rows.get(row.verdict.control)
    if not control or control.arm in (REFERENCE, BASELINE):
        return ""
    if math.isnan(control.closed.mean):
        return ""
    by = control.title
    if control.arm == SCALING:
        by = "learning-rate scaling"
    if is_better(row.verdict):
        return f", against {share(control)} by {by} alone"
    return f", no more than chance above {by} alone ({share(control)})"


def is_better(verdict, word="better", sign=1):
    """Whether an arm is better (or worse) than its control, if not by chance.

    Of one seed it is not known what chance does.
    """
    if verdict.word:
        return verdict.word == word
    return sign * verdict.difference.mean > 0


def share(row):
    return f"{100 * row.closed.mean:.0f} %"


def moving_lags(results):
    """How much worse arms look with the lagging moving statistics.

    Args:
        results: A `Results`.

    Returns:
        A list of pairs of an arm's title and a difference of the objective,
        the largest first; only those that are worth a warning.
    """
    sign = 1 if results.maximize else -1
    lags = []
    for arm in results.arms:
        lag, final = [], []
        for run in finished_runs(results, arm["name"]):
            moving = run.epochs[-1].logs.get(f"moving_{results.objective}")
            if is_number(moving):
                lag.append(sign * (run.final - moving))
                final.append(abs(run.final))
        lag, final = Stat.of(lag).mean, Stat.of(final).mean
        if lag > (LAG if results.is_share else RELATIVE_LAG * final):
            lags.append((arm["title"], lag))
    return sorted(lags, key=lambda pair: -pair[1])


def lag_sentence(results):
    """A warning where moving statistics alone would make a gap, or `""`."""
    lags = moving_lags(results)
    if not lags:
        return ""
    named = [f"{title} by {quantity(results, lag)}" for title, lag in lags[:2]]
    if len(lags) > 2:
        named.append(f"{len(lags) - 2} more")
    return (
        "With the moving statistics of batch normalization, which lag behind "
        "after few updates, results would look worse "
        f"({', '.join(named)}): that is no loss of generalisation, and all "
        "numbers here are with re-estimated statistics."
    )
