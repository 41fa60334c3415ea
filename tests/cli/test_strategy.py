"""`--strategy` and `--virtual-devices`, in a process of their own."""

import os
import subprocess
import sys

import keras
import pytest

from keras_lbreg.distribute.divide_processor import divide_processor
from keras_lbreg.experiments.manifest import read_manifest

BACKEND = keras.backend.backend()
SEVERAL = {"tensorflow": "mirrored", "jax": "jax-data-parallel"}[BACKEND]


def test_train_says_how_batches_are_divided(tmp_path):
    words = "train digits --arm lr_gbn --epochs 1 --virtual-devices 2"
    result = subprocess.run(
        [
            *(sys.executable, "-m", "keras_lbreg", *words.split()),
            *("--run-dir", tmp_path / "run", "--out", tmp_path / "m.keras"),
        ],
        env={**os.environ, "KERAS_BACKEND": BACKEND},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    lines = [line.strip() for line in result.stdout.splitlines()]
    of_replica = " per replica, 32 in all" if SEVERAL == "mirrored" else ""
    ghosts = f"{16 if of_replica else 32} of 16{of_replica}"
    assert lines[:5] == [
        f"Strategy: {SEVERAL}, 2 devices (this process has 2 devices)",
        "global batch   512",
        "devices        2",
        "replica batch  256",
        f"ghost batches  {ghosts}",
    ]
    config = read_manifest(tmp_path / "run")["config"]
    assert (config["strategy"], config["devices"]) == (SEVERAL, 2)
    assert keras.saving.load_model(tmp_path / "m.keras").built


def test_no_virtual_devices():
    with pytest.raises(ValueError, match="argument `count`"):
        divide_processor(0, BACKEND)
