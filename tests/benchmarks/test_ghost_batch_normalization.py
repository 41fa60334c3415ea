"""The benchmark runs; what it measures depends on the machine."""

import json
import os
import pathlib
import subprocess
import sys

import keras
import pytest

SCRIPT = (
    pathlib.Path(__file__).parents[2]
    / "benchmarks"
    / "ghost_batch_normalization.py"
)


@pytest.mark.slow
def test_small_run(tmp_path):
    backend = keras.backend.backend()
    command = [sys.executable, SCRIPT, "--backend", backend]
    command += ["--shape", "32", "4", "4", "8", "--ghost-batch-size", "8"]
    command += ["--rounds", "2", "--turns", "2", "--json", "out.json"]
    result = subprocess.run(
        command,
        # A table that is not cut to the width of a terminal.
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "32x4x4x8" in result.stdout
    report = json.loads((tmp_path / "out.json").read_text())
    modes = {
        "tensorflow": [
            (mode, size)
            for mode in ("graph", "xla")
            for size in ("static", "dynamic")
        ],
        "jax": [("jit", "static")],
    }[backend]
    received = [(r["mode"], r["batch_size"]) for r in report["results"]]
    assert received == modes
    for r in report["results"]:
        low, high = r["ratio_range_over_rounds"]
        assert 0 < low <= high
        assert r["ratio"] > 0
    assert report["environment"]["keras"] == keras.__version__
