import os

import pytest

from keras_lbreg.processes.gpus import share_gpus, visible_gpus


def machine(folder, script=None):
    """Return the environment of a machine with or without `nvidia-smi`."""
    if script is not None:
        program = folder / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    return {"PATH": str(folder)}


@pytest.mark.parametrize(
    ("script", "gpus"),
    [
        (None, []),
        ("echo 0; echo 1; echo 2", ["0", "1", "2"]),
        ("echo NVIDIA-SMI has failed; exit 9", []),
        ("echo No devices were found", []),
    ],
)
def test_gpus_that_the_driver_lists(tmp_path, monkeypatch, script, gpus):
    environment = machine(tmp_path, script)
    # The program is looked for on this process's own path.
    monkeypatch.setenv("PATH", f"{environment['PATH']}{os.pathsep}/bin")
    assert visible_gpus(environment) == gpus


@pytest.mark.parametrize(
    ("value", "gpus"),
    [
        ("2,5", ["2", "5"]),
        ("GPU-8932f937, MIG-5c4d", ["GPU-8932f937", "MIG-5c4d"]),
        ("", []),
        ("-1", []),
        ("3,-1,4", ["3"]),
    ],
)
def test_gpus_that_the_user_has_chosen(tmp_path, value, gpus):
    environment = machine(tmp_path, "echo 0")
    assert visible_gpus(environment | {"CUDA_VISIBLE_DEVICES": value}) == gpus


@pytest.mark.parametrize(
    ("gpus", "workers", "per_worker", "shares"),
    [
        (["0", "1", "2", "3"], 2, None, ["0,1", "2,3"]),
        (["4", "5", "6"], 2, None, ["4", "5"]),
        (["0", "1", "2", "3"], 2, 1, ["0", "1"]),
        (["0"], 2, None, [None, None]),
        ([], 2, None, [None, None]),
        (["0"], 2, 0, ["-1", "-1"]),
        ([], 1, 0, ["-1"]),
    ],
)
def test_shares(gpus, workers, per_worker, shares):
    assert share_gpus(gpus, workers, per_worker) == shares


def test_more_than_there_are():
    with pytest.raises(ValueError, match=r"GPUs, 3, shared by 2 workers"):
        share_gpus(["0", "1", "2"], 2, per_worker=2)
