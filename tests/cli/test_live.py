"""What is shown while a comparison runs."""

import dataclasses
import io

import pytest
import rich.console

from keras_lbreg.cli.live import LineDisplay, LiveDisplay, make_display
from keras_lbreg.experiments import Arm
from keras_lbreg.experiments.events import (
    CompareStarted,
    EpochEnded,
    RunEnded,
    RunStarted,
)
from keras_lbreg.experiments.results import RunResult
from tests.experiments.fake_results import LARGE, SMALL, fake_manifest

ARMS = (SMALL, LARGE)
STARTED = CompareStarted(
    experiment=None,
    manifest=fake_manifest(ARMS, seeds=2),
    total=4,
    pending=4,
    pending_samples={arm.name: 2 * 600 * arm.epochs for arm in ARMS},
)


def run_events(arm, seed, until=None):
    """The events of one run, or those until an epoch."""
    records = tuple(arm.records(seed))
    yield RunStarted(arm.name, seed, 0, arm.epochs, arm.changes)
    for record in records[:until]:
        yield EpochEnded(record, arm.epochs, 600, record.val_accuracy + 0.001)
    if until is None:
        yield RunEnded(RunResult(arm.name, seed, "finished", None, records))


def make_console(terminal=False):
    return rich.console.Console(
        file=io.StringIO(),
        force_terminal=terminal,
        color_system=None,
        highlight=False,
        width=200,
    )


@pytest.fixture(params=[False, True], ids=["lines", "live"])
def console(request):
    return make_console(terminal=request.param)


def show(console, renderable):
    with console.capture() as capture:
        console.print(renderable)
    return " ".join(capture.get().split())


def test_a_terminal_gets_the_live_display(console):
    display = make_display(console)
    assert isinstance(display, LiveDisplay) == console.is_terminal


def test_what_is_scaled_is_printed_before_the_first_run(console):
    with make_display(console) as display:
        display(STARTED)
    text = console.file.getvalue()
    assert "600 training and 400 validation samples" in text
    assert "batch size 20 -> 300 (x15)" in text


def test_lines_name_run_and_result():
    console = make_console()
    with LineDisplay(console) as display:
        display(STARTED)
        for arm in ARMS:
            for event in run_events(arm, seed=0):
                display(event)
    lines = console.file.getvalue().splitlines()
    assert "Small batch, seed 0: 20 epochs" in lines
    small, large = (line for line in lines if line.startswith("["))
    assert small.startswith(
        "[1/4] Small batch, seed 0: val accuracy 96.0 % (best 96.0 %) in 1.4 s"
    )
    assert "left" in small
    assert large.startswith("[2/4] Large batch, seed 0: val accuracy 90.0 %")


def test_extra_arms_have_their_titles(console):
    mine = Arm("large_batch_tuned", "Tuned", "tuned")
    run = dataclasses.replace(LARGE, name=mine.name)
    with make_display(console, (mine,)) as display:
        for event in run_events(run, seed=0):
            display(event)
    assert "[1/1] Tuned, seed 0: val accuracy" in console.file.getvalue()


def test_the_panel_shows_the_run_and_the_finished_arms():
    console = make_console(terminal=True)
    with LiveDisplay(console) as display:
        display(STARTED)
        assert "time left: measuring" in show(console, display.render())
        for event in run_events(SMALL, seed=0):
            display(event)
        for event in run_events(LARGE, seed=0, until=10):
            display(event)
        text = show(console, display.render())
    record = list(LARGE.records(0))[9]
    assert "1 of 4 runs" in text
    assert "Large batch, seed 0" in text
    assert "epoch 10/20" in text
    assert f"accuracy {100 * record.val_accuracy:.1f} %" in text
    assert f"best {100 * record.val_accuracy + 0.1:.1f} %" in text
    assert "learning rate 0.1" in text
    assert "Small batch 1 96.0 96.0" in text


def test_failed_and_skipped_runs_say_so():
    records = tuple(SMALL.records(0))
    failed = RunResult("small_batch", 0, "failed", "the loss is nan", records)
    skipped = RunResult("large_batch", 0, "finished", None, records)
    console = make_console()
    with LineDisplay(console) as display:
        display(STARTED)
        display(RunEnded(failed))
        display(RunEnded(skipped, skipped=True))
    text = console.file.getvalue()
    assert "Small batch, seed 0: failed: the loss is nan" in text
    assert "finished before" in text


@pytest.mark.parametrize("status", ["finished", "failed"])
def test_a_single_run_says_how_it_ended_when_the_panel_is_gone(status):
    reason = "the loss is nan" if status == "failed" else None
    console = make_console(terminal=True)
    with LiveDisplay(console) as display:
        *events, ended = run_events(LARGE, seed=0)
        for event in events:
            display(event)
        result = dataclasses.replace(ended.result, status=status, reason=reason)
        display(RunEnded(result))
    last = console.file.getvalue().splitlines()[-1]
    expected = "failed: the loss is nan" if reason else "val accuracy 90.0 %"
    assert f"Large batch, seed 0: {expected}" in last


def test_a_comparison_leaves_its_outcome_to_the_table():
    console = make_console(terminal=True)
    with LiveDisplay(console) as display:
        display(STARTED)
        for event in run_events(SMALL, seed=0):
            display(event)
    assert "[1/4]" not in console.file.getvalue()


def test_a_single_run_prints_its_changes():
    console = make_console()
    with LineDisplay(console) as display:
        for event in run_events(LARGE, seed=0):
            display(event)
    text = console.file.getvalue()
    assert "batch size 20 -> 300 (x15)" in text
    assert "[1/1] Large batch" in text
