"""What is drawn: colours by name, every arm, limits that hold the ends."""

import numpy as np
import pytest

from keras_lbreg.comparison.plots import (
    arm_colors,
    gap_closed_rows,
    make_plots,
    mean_curves,
)
from tests.comparison.fake_results import TITLES, results_of

LEVELS = {name: 0.9 + 0.005 * i for i, name in enumerate(TITLES)}
LEVELS["small_batch"] = 0.98
ALL = {name: [v, v + 0.004, v + 0.001] for name, v in LEVELS.items()}
NAMES = [
    "objective_by_epoch",
    "objective_by_time",
    "loss",
    "learning_rate",
    "gap_closed",
    "weight_distance",
]


def lines(axis):
    return {
        text.get_text().replace("\n", " ").partition("  ")[2]
        for text in axis.get_legend().get_texts()
    }


def test_colours_do_not_change_with_the_set():
    def colors(*names):
        return arm_colors([{"name": name} for name in names])

    some, every = colors("lr_dreg", "mine"), colors(*TITLES, "mine", "yours")
    assert some.items() <= every.items()
    assert len(set(every.values())) == len(every)
    assert every["lr_warmup"][0] == every["lr"][0]


@pytest.mark.parametrize("objective", ["val_accuracy", "val_loss"])
@pytest.mark.parametrize("names", [list(TITLES), list(TITLES)[:4]])
def test_every_arm_is_in_every_plot(names, objective):
    finals = {name: ALL[name] for name in names}
    if objective == "val_loss":
        finals = {k: [1.3 - v for v in f] for k, f in finals.items()}
    results = results_of(finals, objective=objective, epochs=6)
    plots = {plot.name: plot for plot in make_plots(results)}
    assert list(plots) == NAMES
    titles = {TITLES[name] for name in names}
    for name in NAMES[:3]:
        assert set().union(*map(lines, plots[name].figure().axes)) == titles
    for axis in plots["objective_by_epoch"].figure().axes:
        low, high = axis.get_ylim()
        ends = [v for name in names for v in finals[name]]
        scale = 100 if objective == "val_accuracy" else 1
        assert low < np.median(ends) * scale < high


def test_two_panels_where_there_are_many_arms():
    few, many = (
        make_plots(results_of({n: ALL[n] for n in names}, epochs=4))
        for names in (list(TITLES)[:5], TITLES)
    )
    assert (len(few[0].panels), len(many[0].panels)) == (1, 2)
    added, others = (lines(axis) for axis in many[0].figure().axes)
    assert added & others == {"Small batch", "Large batch", "LR"}
    svgs = many[0].svgs()
    assert len(svgs) == 2
    assert "currentColor" in svgs[0]
    assert many[0].png().startswith(b"\x89PNG")


def test_arms_of_one_learning_rate_share_a_line():
    plots = make_plots(results_of(ALL, epochs=4))
    axis = plots[3].figure().axes[0]
    rates = [line.get_ydata()[0] for line in axis.lines]
    assert sorted(rates) == pytest.approx([0.1, 0.387, 0.387])


def test_means_over_finished_runs_only():
    statuses = {("lr", 0): "failed", ("lr_gbn", 1): "running"}
    results = results_of(ALL, epochs=4, statuses=statuses)
    curves = {curve.name: curve for curve in mean_curves(results)}
    assert curves["lr"].objective[-1] == pytest.approx(
        100 * np.mean(ALL["lr"][1:])
    )
    assert len(curves["lr_gbn"].epoch) == 4
    assert curves["small_batch"].spread[-1] == pytest.approx(
        100 * np.std(ALL["small_batch"], ddof=1)
    )


def test_mid_run_shows_what_unfinished_runs_have():
    statuses = {("lr", seed): "running" for seed in range(3)}
    names = ("small_batch", "large_batch", "lr")
    results = results_of(
        {name: ALL[name] for name in names}, epochs=4, statuses=statuses
    )
    curves = {curve.name: curve for curve in mean_curves(results)}
    assert list(curves["lr"].epoch) == [1, 2]
    assert not gap_closed_rows(results)
    assert "gap_closed" not in [plot.name for plot in make_plots(results)]


def test_one_epoch_and_one_seed():
    results = results_of({name: v[:1] for name, v in ALL.items()})
    for plot in make_plots(results):
        assert plot.figure().axes


def test_nothing_to_draw():
    statuses = {("lr", 0): "damaged"}
    assert make_plots(results_of({"lr": [0.9]}, statuses=statuses)) == []
