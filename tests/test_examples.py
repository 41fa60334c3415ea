"""The files of docs/examples and docs/notebooks do what the pages say."""

import json
import os
import pathlib
import re
import runpy
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_lbreg as lbreg
from keras_lbreg.data.prepared import prepared_datasets
from keras_lbreg.distribute.cluster import read_tf_config
from keras_lbreg.training.examine import examine

EXAMPLES = pathlib.Path(__file__).parents[1] / "docs" / "examples"
PAGE = EXAMPLES.parent / "machines.md"
NOTEBOOK = EXAMPLES.parent / "notebooks" / "first_look.py"

# Slurm's commands: names of hosts, and two tasks of which one may fail.
SCONTROL = """
[ "$1 $2 $3" = "show hostnames node[9-10]" ] && printf 'node9\\nnode10\\n'
"""
SRUN = """
[ "$1 $SRUN_CPUS_PER_TASK" = "--kill-on-bad-exit=1 4" ] || exit
shift
echo start >>starts
for task in 0 1; do SLURM_PROCID=$task "$@" || exit; done
"""
WORKER = """
import json, os, pathlib, sys
config = json.loads(os.environ["TF_CONFIG"])
index = config["task"]["index"]
pathlib.Path(f"{index}.json").write_text(json.dumps([config, sys.argv[1:]]))
starts = len(pathlib.Path("starts").read_text().split())
sys.exit(int(sys.argv[2]) * (index == 1 and starts < int(sys.argv[1])))
"""


def launch(file, folder, backend):
    """Runs an example in two processes; returns what they have printed."""
    process = subprocess.run(
        [
            *(sys.executable, "-m", "keras_lbreg", "launch", "--workers", "2"),
            *("--", str(EXAMPLES / file)),
        ],
        env={**os.environ, "KERAS_BACKEND": backend},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def accuracy_of(path):
    model = keras.saving.load_model(path)
    data = lbreg.data.load_dataset("digits")
    scores = model.predict(data.x_val, verbose=0)
    return np.mean(scores.argmax(-1) == data.y_val)


def load_workload(name):
    return lbreg.get_workload(str(EXAMPLES / "workloads" / f"{name}.py"))


@pytest.mark.parametrize(
    ("name", "objective", "samples"),
    [
        ("tokens", "val_accuracy", (1000, 200)),
        ("two_inputs", "val_loss", (320, 122)),
        ("two_outputs", "val_digit_accuracy", (1024, 773)),
        pytest.param(
            "cifar10_cnn",
            "val_accuracy",
            (4096, 1000),
            marks=pytest.mark.tensorflow,
        ),
    ],
)
def test_workload_can_be_trained(name, objective, samples):
    there = [dataset for dataset, *_ in prepared_datasets(None)]
    if name == "cifar10_cnn" and "cifar10" not in there:
        pytest.skip("needs the prepared CIFAR-10")
    workload = load_workload(name)
    facts = examine(workload)
    assert workload.name == name
    assert facts.objective == objective
    assert (facts.train.samples, facts.validation.samples) == samples
    assert workload.regime.base_batch_size < workload.batch_size < samples[0]


def test_every_workload_is_examined():
    [mark] = test_workload_can_be_trained.pytestmark
    named = {getattr(case, "values", case)[0] for case in mark.args[1]}
    assert named == {path.stem for path in EXAMPLES.glob("workloads/*.py")}


def test_a_workload_can_be_compared(tmp_path):
    results = lbreg.compare(
        load_workload("two_inputs"),
        arms=["small_batch", "lr"],
        seeds=1,
        out=tmp_path,
        progress=False,
    )
    assert results.complete
    assert [run.status for run in results.runs] == ["finished"] * 2
    small, large = (run.final for run in results.runs)
    # Targets have a variance of 1; 20 large updates do less than 400 small.
    assert small < large < 1.5
    assert results.report_path.is_file()


def test_page_shows_the_program():
    text = (EXAMPLES / "multi_worker.py").read_text("utf-8")
    assert f"\n{text}```\n" in PAGE.read_text("utf-8")


def test_notebook_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    found = runpy.run_path(str(NOTEBOOK), run_name="__main__")
    results = found["results"]
    # What its text says: a gap, and a rate that narrows it.
    small, large, scaled = list(results.values())[:3]
    assert large < scaled < small
    assert found["comparison"].complete
    assert "learning rate 0.1131" in capsys.readouterr().out


# tests/distribute/test_multi_worker_tutorial.py runs the same program.
@pytest.mark.slow
@pytest.mark.tensorflow
def test_multi_worker(tmp_path):
    printed = launch("multi_worker.py", tmp_path, "tensorflow")
    [shown] = re.findall(
        r"^\[worker 0\] global.*?^\[worker 0\] Epoch 1/5$",
        PAGE.read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    assert shown in printed
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]
    assert accuracy_of(tmp_path / "model.keras") > 0.9


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="needs the JAX backend"
)
def test_jax_data_parallel(tmp_path):
    printed = launch("jax_data_parallel.py", tmp_path, "jax")
    assert "[worker 0] Epoch 5/5" in printed
    assert accuracy_of(tmp_path / "model.keras") > 0.9


@pytest.mark.slow
def test_tune_your_model(tmp_path):
    process = subprocess.run(
        [sys.executable, str(EXAMPLES / "tune_your_model.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert process.returncode == 0, process.stderr
    means = re.findall(r"^trial \d: (0\.\d+) ±", process.stdout, re.MULTILINE)
    assert means == sorted(means, reverse=True)
    assert len(means) == 3
    # The better execution of the best trial is the one that is saved.
    model = accuracy_of(tmp_path / "tuned.keras")
    assert model >= float(means[0]) - 1e-4
    assert model > 0.85


@pytest.mark.parametrize(
    ("starts_needed", "code", "starts_made"),
    # Three times at most; a wrong command, once.
    [(1, 1, 1), (3, 1, 3), (4, 1, 3), (3, 2, 1)],
)
def test_slurm(tmp_path, starts_needed, code, starts_made):
    for name, script in (("scontrol", SCONTROL), ("srun", SRUN)):
        path = tmp_path / name
        path.write_text(f"#!/bin/bash{script}")
        path.chmod(0o755)
    (tmp_path / "python").symlink_to(sys.executable)
    (tmp_path / "worker.py").write_text(WORKER)
    words = [str(starts_needed), str(code)]
    process = subprocess.run(
        [
            *("bash", str(EXAMPLES / "slurm.sbatch"), "worker.py"),
            *(*words, "--fresh", "two words"),
        ],
        env={
            **os.environ,
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "SLURM_CPUS_PER_TASK": "4",
            "SLURM_JOB_ID": "1234567",
            "SLURM_JOB_NODELIST": "node[9-10]",
        },
        cwd=tmp_path,
        timeout=60,
    )
    assert process.returncode == (0 if starts_needed == starts_made else code)
    starts = (tmp_path / "starts").read_text().split()
    assert len(starts) == starts_made
    # What is started again goes on.
    fresh = ["--fresh"] if starts_made == 1 else []
    for index in range(2):
        config, arguments = json.loads((tmp_path / f"{index}.json").read_text())
        assert config == {
            "cluster": {"worker": ["node9:24567", "node10:24568"]},
            "task": {"type": "worker", "index": index},
        }
        assert arguments == [*words, *fresh, "two words"]


def test_kubernetes(monkeypatch):
    text = (EXAMPLES / "kubernetes.yaml").read_text("utf-8")
    config = re.search(
        r"name: TF_CONFIG\n +value: >-\n((?: +.*\n)*? +.*}}\n)", text
    )
    [completions] = re.findall(r"completions: (\d+)", text)
    for worker in range(int(completions)):
        folded = " ".join(config[1].split())
        monkeypatch.setenv(
            "TF_CONFIG", folded.replace("$(WORKER)", str(worker))
        )
        cluster = read_tf_config()
        assert cluster.index == worker
        assert cluster.addresses == ("lbreg-0.lbreg:2222", "lbreg-1.lbreg:2222")
