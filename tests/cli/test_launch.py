"""`lbreg launch` as users run it, with small Python files as workers."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap

import pytest
from typer.testing import CliRunner

from keras_lbreg.cli.app import app
from tests.checks.processes import all_end

CLUSTER_VARIABLES = ("TF_CONFIG", "KERAS_DISTRIBUTION_JOB_ADDRESSES")
TIMEOUT = 60


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An empty folder, and an environment outside every cluster."""
    for name in (*CLUSTER_VARIABLES, "PYTHONUNBUFFERED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "500")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def script(workplace):
    """Writes the file `worker.py`."""

    def write(code):
        head = "import json, os, sys, time\n"
        (workplace / "worker.py").write_text(head + textwrap.dedent(code))

    return write


def launch(*words):
    return subprocess.run(
        [sys.executable, "-m", "keras_lbreg", "launch", *words],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )


@contextlib.contextmanager
def started(*words):
    """Start `lbreg launch` and end all of it afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", "keras_lbreg", "launch", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_workers_form_a_cluster(script):
    script(
        """
        config = json.loads(os.environ["TF_CONFIG"])
        print(config["task"]["index"], *config["cluster"]["worker"])
        print("problem", file=sys.stderr)
        print(*sys.argv[1:], sys.executable, sep="|")
        """
    )
    words = ("worker.py", "--debug", "--", "a b")
    result = launch("--workers", "2", "--", *words)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    addresses = re.search(r"ports? (\d+), (\d+);", result.stderr).groups()
    for worker in range(2):
        prefix = f"[worker {worker}] "
        own = [x.removeprefix(prefix) for x in lines if x.startswith(prefix)]
        assert own == [
            f"{worker} " + " ".join(f"127.0.0.1:{port}" for port in addresses),
            f"--debug|--|a b|{sys.executable}",
        ]
        assert f"{prefix}problem\n" in result.stderr
    assert len(lines) == 4
    plan = result.stderr.splitlines()[0]
    assert plan.startswith("2 workers on 127.0.0.1")
    assert plan.endswith("worker.py --debug -- 'a b'")


def test_output_comes_in_whole_lines(script):
    script(
        """
        for line in range(200):
            for part in range(4):
                sys.stdout.write(f"part {part} ")
                sys.stdout.flush()
            print(line)
        """
    )
    result = launch("--workers", "3", "worker.py")
    lines = result.stdout.splitlines()
    expected = [
        f"[worker {worker}] part 0 part 1 part 2 part 3 {line}"
        for worker in range(3)
        for line in range(200)
    ]
    assert sorted(lines) == sorted(expected)


def test_an_lbreg_command_without_dashes(workplace):
    """Its own bad usage is final: no restart would mend it."""
    result = launch("--workers", "2", "--restarts", "3", "report", "nosuch")
    assert result.returncode == 2
    assert "-m keras_lbreg report nosuch" in result.stderr
    assert re.search(r"\[worker [01]\] .*nosuch", result.stderr)
    assert "again" not in result.stderr
    assert re.search(r"^Exit code 2, of worker [01]\.$", result.stderr, re.M)


CRASH_ONCE = """
from pathlib import Path
if os.environ["KERAS_DISTRIBUTION_PROCESS_ID"] == "0":
    time.sleep(0.1 if Path("crashed").exists() else 60)
elif not Path("crashed").exists():
    Path("crashed").touch()
    print("last words")
    os.kill(os.getpid(), 9)
print("finished")
"""


def test_restart(script, workplace):
    script(CRASH_ONCE)
    words = ("--workers", "2", "--log-dir", "logs", "--restarts", "2")
    result = launch(*words, "--", "worker.py")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("finished") == 2
    assert "Worker 1 was killed by SIGKILL" in result.stderr
    assert "restarts left: 1" in result.stderr
    log = (workplace / "logs" / "worker-1.log").read_text()
    assert log.count("=== ") == 2
    assert log.endswith("finished\n")


def test_no_restart_unless_asked_for(script):
    script(CRASH_ONCE)
    result = launch("--workers", "2", "worker.py")
    assert result.returncode == 137
    assert "Stopping the others" in result.stderr
    assert result.stdout == "[worker 1] last words\n"
    assert result.stderr.endswith("Exit code 137, of worker 1.\n")


WITH_CHILD = """
import subprocess
child = subprocess.Popen(
    [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"],
    stdout=subprocess.PIPE,
)
child.stdout.readline()
print("up", os.getpid(), child.pid, flush=True)
time.sleep(60)
"""


def pids_of(process, workers):
    """Wait for `workers` lines of `WITH_CHILD`; return their numbers."""
    pids = []
    for _ in range(workers):
        pids += map(int, process.stdout.readline().split("up ")[1].split())
    return pids


@pytest.fixture
def not_ignored():
    """Where the tests run under `nohup`, the launcher would ignore it too."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("signum", "code"),
    [
        (signal.SIGINT, 130),
        (signal.SIGTERM, 143),
        (signal.SIGHUP, 129),
        # Nothing of the launcher's own can run then.
        (signal.SIGKILL, -9),
    ],
)
def test_nobody_outlives_the_launcher(script, signum, code, not_ignored):
    script(WITH_CHILD)
    words = ("--workers", "2", "--restarts", "3", "--", "worker.py")
    with started(*words) as process:
        pids = pids_of(process, 2)
        # To the group, as a terminal does; the workers have their own.
        os.killpg(process.pid, signum)
        stderr = process.communicate(timeout=TIMEOUT)[1]
    assert len(pids) == 4
    assert all_end(pids)
    assert process.returncode == code
    assert "again" not in stderr.replace("again kills now", "")


def test_a_reader_that_goes_away(script):
    script(
        """
        print("up", os.getpid(), flush=True)
        while True:
            print("more")
            time.sleep(0.01)
        """
    )
    with started("--workers", "2", "worker.py") as process:
        pids = pids_of(process, 1)
        process.stdout.close()
        process.stdout = None
        stderr = process.communicate(timeout=TIMEOUT)[1]
    assert all_end(pids)
    assert process.returncode == 1
    assert "Traceback" not in stderr


@pytest.fixture
def lbreg(workplace):
    """Runs `lbreg launch` in this process; for what ends before any worker."""

    def run(*words):
        result = CliRunner().invoke(app, ["launch", *words])
        text = " ".join(result.output.replace("│", " ").split())
        assert result.exit_code == 2, text
        assert "Traceback" not in text
        return text

    return run


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (["--workers", "0", "train"], ["--workers", "1"]),
        (["train"], ["--workers"]),
        (["--workers", "2"], ["COMMAND"]),
        (["--workers", "2", "--"], ["COMMAND"]),
        (["--workers", "2", "trian"], ["trian", "Did you mean `train`?"]),
        (["--workers", "2", "--", "launch"], ["launch", "compare, data"]),
        (["--workers", "2", "nosuch.py"], ["nosuch.py", "existing Python"]),
        (["--workers", "2", "--port", "x", "train"], ["--port", "auto"]),
        (["--workers", "2", "--port", "65535", "train"], ["65535"]),
        (["--workers", "2", "--restarts", "-1", "train"], ["--restarts"]),
        (["--workers", "2", "--grace", "-1", "train"], ["--grace"]),
        (
            ["--workers", "2", "--gpus-per-worker", "1000", "train"],
            ["--gpus-per-worker", "1000"],
        ),
        (
            ["--workers", "2", "--threads-per-worker", "0", "train"],
            ["--threads-per-worker"],
        ),
        (["--workers", "2", "--log-dir", "file", "train"], ["exists", "file"]),
    ],
    ids=lambda value: "-".join(value),
)
def test_bad_input(lbreg, workplace, words, fragments):
    (workplace / "file").write_text("")
    text = lbreg(*words)
    for fragment in fragments:
        assert fragment in text


@pytest.mark.parametrize("name", CLUSTER_VARIABLES)
def test_a_cluster_in_a_cluster(lbreg, monkeypatch, name):
    monkeypatch.setenv(name, '{"cluster": {"worker": ["a:1"]}}')
    text = lbreg("--workers", "2", "--", "train")
    assert f"variable {name} is set" in text
    assert "already part of a cluster" in text
