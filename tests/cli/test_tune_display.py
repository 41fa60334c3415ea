"""A search in a terminal."""

import dataclasses
import io

import pytest
import rich.console

from keras_lbreg.cli.tune_display import TuneDisplay, make_tune_display
from keras_lbreg.cli.tune_lines import TuneLines
from keras_lbreg.search import read_search
from keras_lbreg.search.events import (
    ConfirmProgress,
    ConfirmStarted,
    SearchEnded,
    TrialEnded,
    TrialStarted,
)
from tests.cli.fake_search_events import all_events, started, trial_events
from tests.search.fake_search import write_search


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    return read_search(write_search(folder, trials=20, failed=(3, 11)))


def make_console(terminal=True, height=40):
    return rich.console.Console(
        file=io.StringIO(),
        force_terminal=terminal,
        color_system=None,
        highlight=False,
        width=160,
        height=height,
    )


def shown(display):
    """The lines of the panel, without its frame."""
    with display.console.capture() as capture:
        display.console.print(display.render())
    return [line[1:-1].strip() for line in capture.get().splitlines()[1:-1]]


def fed(events, height=40):
    display = TuneDisplay(make_console(height=height))
    with display:
        for event in events:
            display(event)
    return display


def test_a_terminal_gets_the_table():
    assert type(make_tune_display(make_console())) is TuneDisplay
    assert type(make_tune_display(make_console(False))) is TuneLines
    assert type(make_tune_display(make_console(), lines=True)) is TuneLines


def test_it_says_that_it_looks_first():
    assert shown(fed([])) == ["Looking at data, model and search space ..."]


def test_nothing_has_ended_yet(results):
    lines = shown(fed([started(results), *trial_events(results, 0, until=7)]))
    assert "0 of 20 trials" in lines[0]
    assert lines[1] == "Time left: measuring"
    assert lines[2] == "No trial has completed yet."
    assert lines[5].split()[:6] == [
        "000",
        "running",
        "run",
        "2/2,",
        "7/20",
        "57.0",
    ]


def test_one_run_a_trial_has_no_number(results):
    begin = started(results, executions=1)
    lines = shown(fed([begin, *trial_events(results, 0, until=7)]))
    assert lines[5].split()[:4] == ["000", "running", "7/20", "57.0"]


def test_best_running_and_failed_trials_are_shown(results):
    lines = shown(fed(all_events(results)))
    best = results.best
    accuracy = f"{100 * best.score:.1f} ± {100 * best.std:.1f}"
    assert "2 failed" in lines[0]
    assert lines[2].startswith(
        f"Best so far: {accuracy} % (trial {best.id}): x"
    )
    ranked = sorted(results.of_status("completed"), key=lambda t: -t.score)
    rows = [line.split()[0] for line in lines[5:-1]]
    assert rows == [trial.id for trial in ranked[:8]]
    reason = results.trials[11].reason
    assert lines[-1] == f"Trial 011 failed: {reason}"


def test_running_trials_stand_first(results):
    begun = (next(trial_events(results, number)) for number in (18, 19))
    lines = shown(fed([started(results, before=18), *begun]))
    assert [line.split()[:2] for line in lines[5:7]] == [
        ["018", "running"],
        ["019", "running"],
    ]


@pytest.mark.parametrize("height", [14, 18, 24])
def test_the_panel_fits_the_screen(results, height):
    display = fed(all_events(results), height)
    with display.console.capture() as capture:
        display.console.print(display.render())
    assert len(capture.get().splitlines()) < height


def test_workers_are_named_where_there_are_several(results):
    def ended(worker):
        for number, place in enumerate(worker):
            trial = dataclasses.replace(results.trials[number], worker=place)
            yield TrialStarted(dataclasses.replace(trial, status="running"))
            yield TrialEnded(trial, trial, 1.0)

    begin = started(results, workers=2)
    lines = shown(fed([begin, *ended(["here:0", "here:1"])]))
    assert lines[4].split()[2] == "worker"
    assert {line.split()[2] for line in lines[5:]} == {"0", "1"}
    lines = shown(fed([begin, *ended(["here:0", "there:0"])]))
    assert {line.split()[2] for line in lines[5:]} == {"here:0", "there:0"}
    assert "worker" not in "\n".join(shown(fed([started(results)])))


def test_the_budget_is_shown(results):
    _, line, *_ = shown(fed([started(results, budget=3600.0)]))
    assert "; budget left: " in line


def test_what_failed_before_is_shown_when_a_search_goes_on(results):
    lines = shown(fed([started(results, before=5)]))
    assert "4" not in lines[0].split("of")[0]
    assert "1 failed" in lines[0]
    assert lines[-1].startswith("Trial 003 failed: ")


def test_what_was_interrupted_runs_no_more(results):
    interrupted = next(trial_events(results, 0)).trial
    earlier = dataclasses.replace(results, trials=(interrupted,))
    begin = dataclasses.replace(started(results), results=earlier)
    assert "running" not in "\n".join(shown(fed([begin])))


def test_plan_and_end_stay_when_the_panel_is_gone(results):
    display = fed(all_events(results))
    text = display.console.file.getvalue()
    assert "20 trials at random" in text
    assert "The search has ended: all trials are done." in text
    assert "[1/20]" not in text


def test_the_comparison_follows(results):
    events = [
        started(results, before=20),
        SearchEnded(results),
        ConfirmStarted(None, ("small_batch", "tuned"), (1000,)),
    ]
    [line] = shown(fed(events))
    assert line.endswith("0 of 2 runs")
    events.append(ConfirmProgress("small_batch", 1000, 20, 20, 0.98))
    events.append(ConfirmProgress("tuned", 1000, 5, 20, 0.875))
    display = fed(events)
    [line] = shown(display)
    for part in (
        "1 of 2 runs",
        "Tuned, seed 1000: epoch 5/20, accuracy 87.5 %",
    ):
        assert part in line
    assert "fresh seeds (1000)" in display.console.file.getvalue()
