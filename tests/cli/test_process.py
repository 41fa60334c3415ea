"""The command as a process: signals, pipes, terminals."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
LBREG = [
    sys.executable,
    "-c",
    "import _lbreg, sys; sys.argv[0] = 'lbreg'; _lbreg.main()",
]


def start(folder, *words, **variables):
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [*LBREG, *map(str, words)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.fixture
def words(train_py):
    arm = ["--arm", "small_batch", "--epochs", 40]
    return ["train", train_py, *arm, "--seed", 3, "--run-dir", "runs"]


def test_a_run_that_is_stopped_in_several_ways(words, tmp_path):
    with start(tmp_path, *words) as process:
        for line in process.stdout:
            if line.startswith(b"Small batch, seed 3"):
                break
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate()
    assert process.returncode == 143
    # Nothing of TensorFlow's beside it.
    assert errors.decode().strip() == (
        "Interrupted. The same command goes on from the last saved epoch."
    )
    # Now with a reader that has gone.
    with start(tmp_path, *words) as process:
        process.stdout.close()
        errors = process.stderr.read()
    assert process.returncode == 141
    assert errors == b""
    assert not (tmp_path / "model.keras").exists()


def test_a_terminal_without_utf_8(train_py, tmp_path):
    words = ["--arms", "small_batch,large_batch", "--seeds", 1, "--epochs", 1]
    words = ["compare", train_py, *words]
    with start(tmp_path, *words, PYTHONIOENCODING="ascii") as process:
        output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert b"Report: runs" in output
    assert errors == b""
