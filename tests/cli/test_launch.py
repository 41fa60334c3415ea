"""`lbreg launch` with workers that train nothing."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

from keras_lbreg.cli import launch

ROOT = pathlib.Path(__file__).parents[2]
WORKER = """
import json, os, signal, subprocess, sys, time
config = json.loads(os.environ["TF_CONFIG"])
index, do = config["task"]["index"], sys.argv[1]
assert config["cluster"]["worker"] == (
    os.environ["KERAS_DISTRIBUTION_JOB_ADDRESSES"].split(",")
)
print("one\\rtwo", os.environ["KERAS_DISTRIBUTION_PROCESS_ID"])
print("three", file=sys.stderr)
if do == "wait" or index == 0 and do != "end":
    sleep = "import time; time.sleep(99)"
    child = subprocess.Popen([sys.executable, "-c", sleep])
    print("child", child.pid)
    time.sleep(99)
if do == "fail":
    sys.exit(7)
if do == "die":
    os.kill(os.getpid(), signal.SIGKILL)
"""


def start(folder, *words):
    (folder / "worker.py").write_text(WORKER)
    environment = {k: v for k, v in os.environ.items() if k != "TF_CONFIG"}
    environment["PYTHONPATH"] = str(ROOT)
    code = "import _lbreg; _lbreg.main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "launch", "--workers", "2", *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def is_running(pid):
    status = pathlib.Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().split()[2] != "Z"


def test_output_comes_behind_the_workers_name(tmp_path):
    process = start(tmp_path, "--", "worker.py", "end")
    output, errors = process.communicate()
    assert process.returncode == 0
    assert sorted(output.splitlines()) == [
        "[worker 0] three",
        "[worker 0] two 0",
        "[worker 1] three",
        "[worker 1] two 1",
    ]
    assert errors == ""


@pytest.mark.parametrize(("do", "code"), [("fail", 7), ("die", 137)])
def test_the_first_failure_stops_the_others(tmp_path, do, code):
    process = start(tmp_path, "--", "worker.py", do)
    _, errors = process.communicate()
    assert process.returncode == code
    assert f"Worker 1 ended with exit code {code}." in errors


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_workers_and_what_they_started(tmp_path, signum):
    process = start(tmp_path, "--", "worker.py", "wait")
    children = []
    while len(children) < 2:
        line = process.stdout.readline()
        if "child" in line:
            children.append(int(line.split()[-1]))
    process.send_signal(signum)
    process.communicate()
    assert process.returncode == 128 + signum
    assert not any(map(is_running, children))


def test_a_cluster_in_a_cluster_is_refused(lbreg, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1"]}}')
    result = lbreg("launch", "--workers", 2, "new")
    assert result.exit_code == 2
    assert "TF_CONFIG" in result.text


def test_workers_share_gpus(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0, 3,5,-1,7")
    first, second = launch.worker_environments(2)
    assert first["CUDA_VISIBLE_DEVICES"] == "0"
    assert second["CUDA_VISIBLE_DEVICES"] == "3"


def test_a_command_is_ours_a_file_or_a_program(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("")
    ours = [sys.executable, "-m", "keras_lbreg", "train", "digits"]
    assert launch.worker_command(["train", "digits"]) == ours
    assert launch.worker_command(["mine.py", "a"]) == [
        sys.executable,
        "mine.py",
        "a",
    ]
    assert launch.worker_command(["env", "a"])[0].endswith("env")
