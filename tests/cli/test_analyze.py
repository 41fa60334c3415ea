"""`lbreg analyze`: what it asks of `keras_lbreg.analysis.report`."""

import types

import pytest

from keras_lbreg.analysis import report
from keras_lbreg.analysis.measures import MEASURES
from keras_lbreg.workloads import Workload


@pytest.fixture
def calls(monkeypatch):
    """What the function was called with; it has a result to show."""
    calls = []

    def analyze(*args, on_progress, on_result, **kwargs):
        calls.append((args, kwargs))
        on_progress("sharpness of a", 0, None, "evaluations")
        on_progress("sharpness of a", 1, None, "evaluations")
        on_result("[1/1] a")
        return types.SimpleNamespace(
            cells=lambda: (["model", "sharpness"], [["a[b]", "0.5"]]),
            notes=lambda: ["a is sharp"],
            report_path="runs/a/report.html",
        )

    monkeypatch.setattr(report, "analyze", analyze)
    return calls


def test_all_diagnostics_in_one_command(lbreg, calls):
    words = ["digits", "a.keras", "b.keras", "--what", "noise, interpolation"]
    result = lbreg("analyze", *words, "--pairs", 5, "--epsilon", 0.1)
    assert result.exit_code == 0, result.text
    for fragment in (
        "[1/1] a",
        "model sharpness",
        "a[b] 0.5",
        "a is sharp",
        "Report: runs/a/report.html",
    ):
        assert fragment in result.text
    [((models, workload, what, settings), _)] = calls
    assert models == ["a.keras", "b.keras"]
    assert isinstance(workload, Workload)
    assert what == ["noise", "interpolation"]
    assert settings["sharpness"]["epsilon"] == (0.1,)
    assert settings["noise"]["pairs"] == 5


def test_the_defaults_are_those_of_the_diagnostics(lbreg, calls):
    lbreg("analyze", "digits", "a.keras")
    [((_, _, what, settings), _)] = calls
    assert what == ["sharpness", "hessian", "noise"]
    assert settings == {name: m.settings for name, m in MEASURES.items()}
