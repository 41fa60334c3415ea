"""`lbreg analyze`: what it asks of `keras_lbreg.analysis.report`."""

import types

import pytest

from keras_lbreg.analysis import report
from keras_lbreg.workloads import Workload


@pytest.fixture
def calls(monkeypatch):
    """What the functions were called with; they have a result to show."""
    calls = []

    def measure(*args, on_progress, on_result, **kwargs):
        calls.append((args, kwargs))
        on_progress("sharpness of a", 1, None, "evaluations")
        on_result("[1/1] a")
        return types.SimpleNamespace(
            words=lambda: ["a is sharp"], report_path="runs/a/report.html"
        )

    monkeypatch.setattr(report, "analyze", measure)
    monkeypatch.setattr(report, "analyze_interpolation", measure)
    return calls


def test_all_diagnostics_in_one_command(lbreg, calls):
    what = "sharpness,noise,interpolation"
    words = ["digits", "a.keras", "b.keras", "--what", what]
    result = lbreg("analyze", *words, "--pairs", 5, "--epsilon", 0.1)
    assert result.exit_code == 0, result.text
    for fragment in ("[1/1] a", "a is sharp", "Report: runs/a/report.html"):
        assert fragment in result.text
    (models, workload), settings = calls[0]
    assert models == ["a.keras", "b.keras"]
    assert isinstance(workload, Workload)
    assert settings["what"] == ("sharpness", "noise")
    assert settings["epsilons"] == (0.1,)
    assert settings["pairs"] == 5
    assert calls[1][0][:2] == ("a.keras", "b.keras")
    assert calls[1][1]["points"] == 25


def test_the_defaults_are_those_of_the_function(lbreg, calls):
    import inspect

    defaults = inspect.signature(report.__dict__["analyze"]).parameters
    assert defaults
    lbreg("analyze", "digits", "a.keras")
    assert calls[0][1]["what"] == report.MEASURES
    assert calls[0][1]["epsilons"] == (1e-3, 5e-4)
