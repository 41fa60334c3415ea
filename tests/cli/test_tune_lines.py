"""A search as lines of a log file."""

import dataclasses
import io

import pytest
import rich.console

from keras_lbreg.cli.tune_lines import TuneLines
from keras_lbreg.search import read_search
from keras_lbreg.search.events import (
    ConfirmEnded,
    ConfirmProgress,
    ConfirmStarted,
    SearchEnded,
    TrialStarted,
)
from tests.cli.fake_search_events import all_events, started, trial_events
from tests.search.fake_search import write_search


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    return read_search(write_search(folder, trials=5, failed=(3,)))


def lines_of(events):
    file = io.StringIO()
    console = rich.console.Console(file=file, highlight=False, width=120)
    with TuneLines(console) as display:
        for event in events:
            display(event)
    return file.getvalue().splitlines()


def test_space_and_plan_come_first(results):
    lines = lines_of([started(results, budget=5400.0, workers=2)])
    text = "\n".join(lines)
    assert "digits: what may be tried" in lines[0]
    assert "dreg.weight" in text
    assert "DReg(weight, distance, path_reduction, layer)" in text
    assert (
        "5 trials at random (seed 0), each 2 runs of 20 epochs: 200 epochs in "
        "all, 2 trials at a time." in lines
    )
    assert "No trial begins after 1 h 30 min of searching." in lines
    assert "held out of the training data" in text
    assert "Going on" not in text


def test_the_plan_of_other_searches(results):
    lines = lines_of(
        [started(results, tuner="hyperband", executions=1, holdout=0.0)]
    )
    assert (
        "5 trials by Hyperband (seed 0), each 1 run of up to 20 epochs: up to "
        "100 epochs in all." in lines
    )
    assert any("will flatter the best one" in line for line in lines)


def test_every_trial_says_what_it_tries_and_what_came_of_it(results):
    lines = lines_of(all_events(results))
    for trial in results.trials:
        [begun] = [x for x in lines if x.startswith(f"Trial {trial.id}: ")]
        factor = trial.configuration.learning_rate_factor
        assert f": x{factor:.2g}" in begun
        [ended] = [x for x in lines if f"] Trial {trial.id}: " in x]
        if trial.status == "completed":
            mean, std = 100 * trial.score, 100 * trial.std
            assert f"val. accuracy {mean:.1f} ± {std:.1f} % in" in ended
    best = results.best
    [ended] = [x for x in lines if f"] Trial {best.id}: " in x]
    assert ended.endswith("; the best so far") or "so far; about" in ended
    assert "[4/5] Trial 003: failed: the loss became nan in epoch 3; " in (
        "\n".join(lines)
    )
    assert lines[-1].startswith(
        "The search has ended: all trials are done. 4 trials completed, 1 "
        "failed; "
    )


def test_another_session_goes_on_where_the_last_stopped(results):
    going_on = dataclasses.replace(next(trial_events(results, 3)), resumed=True)
    lines = lines_of(
        [started(results, before=3), going_on, *trial_events(results, 4)]
    )
    assert "Going on: 3 trials done in" in "\n".join(lines)
    assert any(line.startswith("Trial 003, going on: ") for line in lines)
    # Three before, and this one; 003 still runs.
    assert any(line.startswith("[4/5] Trial 004: ") for line in lines)


def test_what_was_interrupted_is_not_counted(results):
    interrupted = next(trial_events(results, 0)).trial
    earlier = dataclasses.replace(results, trials=(interrupted,))
    begin = dataclasses.replace(started(results), results=earlier)
    lines = lines_of([begin, *trial_events(results, 0)])
    assert "Going on: 0 trials done" in "\n".join(lines)
    assert any(line.startswith("[1/5] Trial 000") for line in lines)


def test_the_batch_size_is_named_where_several_are_tried(results):
    resolved = {**results.manifest["resolved"], "batch_sizes": [256, 512]}
    manifest = {**results.manifest, "resolved": resolved}
    several = dataclasses.replace(results, manifest=manifest)
    lines = lines_of([started(several), *trial_events(several, 0)])
    assert any(line.startswith("Trial 000: 512 x") for line in lines)


@pytest.mark.parametrize(
    ("why", "text"),
    [("budget", "the budget is used up"), ("exhausted", "nothing is left")],
)
def test_why_the_search_ended(results, why, text):
    ended = SearchEnded(dataclasses.replace(results, ended_why=why))
    assert text in lines_of([started(results), ended])[-1]


def test_the_comparison_names_its_runs(results):
    lines = lines_of(
        [
            ConfirmStarted(None, ("small_batch", "tuned"), (1000, 1001)),
            ConfirmProgress("small_batch", 1000, 1, 2, 0.5),
            ConfirmProgress("small_batch", 1000, 2, 2, 0.975),
            ConfirmProgress("tuned", 1000, 2, 2, 0.965),
            ConfirmEnded(None),
        ]
    )
    assert "fresh seeds (1000, 1001)" in lines[0]
    assert lines[1:] == [
        "Small batch, seed 1000: val. accuracy 97.5 %",
        "Tuned, seed 1000: val. accuracy 96.5 %",
    ]


def test_a_worker_of_several_machines_knows_of_its_own_trials(results):
    lines = lines_of(trial_events(results, 2))
    assert lines[0].startswith("Trial 002: x")
    assert lines[1].startswith("Trial 002: val. accuracy")
    assert "left" not in lines[1]


def test_a_layer_s_name_is_not_taken_for_a_colour(results):
    trial = results.trials[0]
    configuration = dataclasses.replace(
        trial.configuration, techniques={"dreg": {"layer": "[red]dense"}}
    )
    odd = dataclasses.replace(trial, configuration=configuration)
    lines = lines_of([started(results), TrialStarted(odd)])
    assert "DReg([red]dense)" in lines[-1]
