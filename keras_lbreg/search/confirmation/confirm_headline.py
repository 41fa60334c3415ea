"""Whether tuning helped, in a few sentences."""

from keras_lbreg.experiments.arms import BASELINE, REFERENCE
from keras_lbreg.experiments.configuration_file import TUNED
from keras_lbreg.experiments.formatting import (
    accuracy_decimals,
    format_stat,
)
from keras_lbreg.experiments.headline import SCALING
from keras_lbreg.experiments.statistics import (
    Stat,
    arm_statistics,
    exceeds_chance,
    finals,
)


def confirm_headline(results):
    """Say whether the winner is better than what it was not tuned against.

    Args:
        results: The `Results` of the comparison on fresh seeds.

    Returns:
        A string.

    Example:

    >>> print(confirm_headline(read_results("runs/tune-digits/confirm")))

    Reference: `keras_lbreg.experiments.statistics.exceeds_chance`.
    """
    rows = {row.arm: row for row in arm_statistics(results)}
    gain = gain_over(results, BASELINE)
    if not gain.n:
        return (
            "The winner has no finished run beside one of the untuned large "
            "batch on fresh seeds, so it is not confirmed."
        )
    decimals = accuracy_decimals(row.final for row in rows.values())

    def final(arm):
        return f"{format_stat(rows[arm].final, decimals, 100)} %"

    scaling = gain_over(results, SCALING)
    seeds = "1 fresh seed" if gain.n == 1 else f"{gain.n} fresh seeds"
    text = (
        f"{verdict(gain, scaling)} On {seeds} the winner ends at "
        f"{final(TUNED)} of the validation data, "
        f"{against(gain, 'the untuned large batch', decimals)}"
    )
    if scaling.n:
        other = "learning-rate scaling alone"
        text += f" and {against(scaling, other, decimals)}"
    text += "."
    if REFERENCE in rows and rows[REFERENCE].final.n:
        text += f" The small batch ends at {final(REFERENCE)}."
    epochs = {arm["name"]: arm["epochs"] for arm in results.arms}
    if epochs[TUNED] != epochs[BASELINE]:
        times = epochs[TUNED] / epochs[BASELINE]
        text += (
            f" The winner trains {times:.3g} times as many epochs as the "
            "others, so this is no comparison at equal cost."
        )
    if gain.n > 1:
        text += (
            " Chance is judged by a 95 % t interval of the differences by seed."
        )
    return text


def gain_over(results, arm):
    """The winner's accuracy minus that of another arm, seed by seed."""
    own, others = finals(results, TUNED), finals(results, arm)
    return Stat.of(own[seed] - others[seed] for seed in own if seed in others)


def verdict(gain, scaling):
    """The answer in one sentence, for the gains over two arms."""
    if gain.n < 2:
        return "Whether tuning helped cannot be told from one seed."
    if exceeds_chance(gain):
        if scaling.n and exceeds_chance(reversed_sign(scaling)):
            return (
                "Tuning helped, but learning-rate scaling alone, which costs "
                "nothing, helps more."
            )
        if scaling.n and not exceeds_chance(scaling):
            return (
                "Tuning helped, but by no more than learning-rate scaling "
                "alone, as far as can be told."
            )
        return "Tuning helped."
    if exceeds_chance(reversed_sign(gain)):
        return "Tuning did harm."
    return "Tuning did not help by more than chance."


def reversed_sign(gain):
    return Stat(-gain.mean, gain.std, gain.n)


def against(gain, other, decimals):
    """How far above or below another arm, and whether that may be chance."""
    points = round(100 * gain.mean, decimals)
    side = "above" if points >= 0 else "below"
    text = f"{abs(points):.{decimals}f} points {side} {other}"
    if gain.n < 2:
        return text
    size = Stat(abs(gain.mean), gain.std, gain.n)
    chance = "more than chance" if exceeds_chance(size) else "within chance"
    return f"{text} ({chance})"
