"""A line for each trial through its hyperparameters."""

import pytest

from keras_lbreg.experiments.plot_style import INK, PALETTE, PAPER, to_svg
from keras_lbreg.search.pages.dimensions import dimensions
from keras_lbreg.search.pages.plot_parallel import (
    MOST_AXES,
    OFF,
    chosen_dimensions,
    heights_of,
    plot_parallel,
)
from keras_lbreg.search.read_search import read_search
from tests.search.fake_search import write_search


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return read_search(write_search(tmp_path_factory.mktemp("search")))


def test_a_line_for_each_completed_trial_the_winner_on_top(results):
    [axis] = plot_parallel(results).axes
    shown = len(chosen_dimensions(results))
    lines = [x for x in axis.get_lines() if len(x.get_xdata()) == shown + 1]
    assert len(lines) == len(results.of_status("completed"))
    ends = [line.get_ydata()[-1] for line in lines]
    # Later lines are drawn over earlier ones.
    assert ends == sorted(ends)
    assert ends[-1] == 1
    assert ends[0] == 0
    assert lines[-1].get_color() == PALETTE[3]
    assert PALETTE[3] not in [line.get_color() for line in lines[:-1]]


def test_a_line_passes_below_the_axis_where_its_technique_is_off(results):
    trials = [trial.id for trial in results.of_status("completed")]
    [weight] = [x for x in dimensions(results) if x.name == "dreg.weight"]
    heights = heights_of(weight, trials)
    for trial in results.of_status("completed"):
        if trial.values["dreg"]:
            assert 0 <= heights[trial.id] <= 1
        else:
            assert abs(heights[trial.id] - OFF) < 0.05
    order = sorted(weight.values, key=weight.values.get)
    drawn = [heights[trial] for trial in order if trial in heights]
    assert drawn == sorted(drawn)


def test_few_axes_and_the_most_telling_ones(results):
    chosen = chosen_dimensions(results)
    assert len(chosen) <= MOST_AXES < len(dimensions(results))
    # It is most of what the fake accuracy consists of.
    assert "lr_scaling" in {x.technique for x in chosen}
    names = [dimension.name for dimension in chosen]
    known = [dimension.name for dimension in dimensions(results)]
    assert names == [name for name in known if name in names]


def test_no_axis_says_again_whether_a_technique_is_on(results):
    chosen = chosen_dimensions(results)
    for switch in (x for x in chosen if x.name == x.technique):
        assert [x.technique for x in chosen].count(switch.technique) == 1


def test_the_page_gives_text_and_paper_their_colours(results):
    svg = to_svg(plot_parallel(results))
    assert "var(--paper)" in svg
    assert PAPER not in svg
    assert INK not in svg
