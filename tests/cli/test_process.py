"""The command as a process: signals and pipes."""

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


def start(folder, *words):
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {k: v for k, v in os.environ.items() if k != "TF_CONFIG"}
    return subprocess.Popen(
        [*LBREG, *map(str, words)],
        cwd=folder,
        env={**environment, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_run_that_is_stopped(train_py, tmp_path):
    words = ["--arm", "small_batch", "--epochs", 40, "--run-dir", "runs"]
    with start(tmp_path, "train", train_py, *words) as process:
        for line in process.stdout:
            if line.startswith(b"Small batch, seed 0"):
                break
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate()
    assert process.returncode == 143
    # Nothing of TensorFlow's beside it.
    assert errors.decode().strip() == (
        "Interrupted. The same command goes on from the last saved epoch."
    )
    assert not (tmp_path / "model.keras").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["launch", "--help"],
        ["data", "list"],
        ["launch", "--workers", 2, "--", sys.executable, "-c", "print(1)"],
    ],
    ids=lambda words: " ".join(map(str, words[:2])),
)
def test_a_reader_that_has_gone(words, tmp_path):
    with start(tmp_path, *words) as process:
        process.stdout.close()
        errors = process.stderr.read()
    assert process.returncode == 141
    assert errors == b""
