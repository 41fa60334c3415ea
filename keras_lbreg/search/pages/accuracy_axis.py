"""The accuracy of trials on a y axis that shows the best ones."""

import numpy as np

# The best lie close together and the worst far away: of what lies below the
# median, as much is shown as lies above it.
SHOWN_BELOW = 2.0


def best_limits(percents):
    """The accuracies, in percent, between which the better half lies.

    Args:
        percents: Accuracies in percent.

    Returns:
        The lowest one to show and the highest one there is.
    """
    top, lowest = max(percents), min(percents)
    height = SHOWN_BELOW * (top - float(np.median(percents)))
    return top - max(min(height, top - lowest), 1.0), top


def zoom_on_the_best(axis, percents):
    """Set the axis to `best_limits` and a margin; return its limits."""
    low, top = best_limits(percents)
    axis.set_ylim(low - 0.06 * (top - low), top + 0.1 * (top - low))
    return axis.get_ylim()


def draw_trials(axis, x, percents, color, size=5.0, label=None):
    """Draw trials as dots; those that fall out as triangles at the foot.

    Args:
        axis: The axis, its limits set.
        x: Where each trial stands.
        percents: Accuracies in percent.
        color: Colour of the marks.
        size: Size of a dot.
        label: Text of the legend.
    """
    if not len(percents):
        return
    low, high = axis.get_ylim()
    x, percents = np.asarray(x, "float64"), np.asarray(percents, "float64")
    inside = percents > low
    marks = {
        "linestyle": "none",
        "color": color,
        "alpha": 0.75,
        "markeredgewidth": 0,
        "markersize": size,
    }
    axis.plot(x[inside], percents[inside], marker="o", label=label, **marks)
    if not inside.all():
        foot = np.full((~inside).sum(), low + 0.02 * (high - low))
        axis.plot(x[~inside], foot, marker="v", **marks)
