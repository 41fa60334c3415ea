import os
import signal
import time

import pytest

from keras_lbreg.cli.launcher.local_cluster import LocalCluster, Outcome
from keras_lbreg.cli.launcher.worker import Worker
from tests.checks.processes import all_end, python

HEAD = """
import os, signal, subprocess, sys, time
worker = int(os.environ["WORKER"])
def say(line):
    # In one piece: `print` writes its arguments one by one.
    os.write(1, f"{line}\\n".encode())
def wait():
    say(f"ready {os.getpid()}")
    time.sleep(60)
"""
IGNORE = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"


class Output:
    """Keeps what workers print, and may act on it."""

    def __init__(self, on_text=lambda text: None):
        self.text = {}
        self.flushed = []
        self.on_text = on_text

    def write(self, worker, stream, data):
        before = self.text.get((worker, stream), "")
        self.text[worker, stream] = before + data.decode()
        self.on_text(data.decode())

    def flush(self, worker):
        self.flushed.append(worker)

    def pids(self, word):
        """Return the process ids behind `word`."""
        lines = "".join(self.text.values()).splitlines()
        return [int(x.split()[1]) for x in lines if x.startswith(word)]


def run(code, workers=2, output=None, grace=10.0):
    """Run a cluster; return its outcome, output, sentences and seconds."""
    output = output or Output()
    said = []
    environments = [os.environ | {"WORKER": str(i)} for i in range(workers)]
    cluster = LocalCluster(
        python(HEAD, code), environments, output, said.append, grace
    )
    start = time.monotonic()
    outcome = cluster.run()
    return outcome, output, said, time.monotonic() - start


def test_all_succeed():
    outcome, output, said, _ = run(
        """
        print("out", worker)
        print("err", worker, file=sys.stderr, end="")
        """
    )
    assert outcome == Outcome(0, failed=None)
    assert output.text == {
        (0, "stdout"): "out 0\n",
        (1, "stdout"): "out 1\n",
        (0, "stderr"): "err 0",
        (1, "stderr"): "err 1",
    }
    assert sorted(output.flushed) == [0, 1]
    assert said == []


def test_last_words_are_read_to_the_end(monkeypatch):
    def read_slowly(worker, stream):
        return os.read(worker.pipes[stream].fileno(), 1)

    monkeypatch.setattr(Worker, "read", read_slowly)
    _, output, _, _ = run("print('x' * 10_000)", workers=1)
    assert output.text == {(0, "stdout"): "x" * 10_000 + "\n"}


def test_an_end_is_noticed_at_once(monkeypatch):
    monkeypatch.setattr("keras_lbreg.cli.launcher.local_cluster.PAUSE", 30)
    outcome, _, _, seconds = run("os.closerange(0, 3); time.sleep(0.2)")
    assert outcome == Outcome(0, failed=None)
    assert seconds < 9


def test_a_failure_stops_the_others():
    outcome, output, said, seconds = run(
        """
    if worker == 0:
        wait()
    print("last words", end="")
    sys.exit(3)
    """
    )
    assert outcome == Outcome(3, failed=1)
    assert said == ["Worker 1 ended with exit code 3. Stopping the others."]
    assert output.text[1, "stdout"] == "last words"
    assert seconds < 9
    assert all_end(output.pids("ready"))


def test_a_killed_worker_is_reported_as_such():
    outcome, _, said, seconds = run(
        """
    if worker == 0:
        wait()
    os.kill(os.getpid(), signal.SIGKILL)
    """
    )
    assert outcome == Outcome(137, failed=1)
    assert said[0].startswith("Worker 1 was killed by SIGKILL (out of memory?)")
    assert seconds < 9


def test_the_first_failure_counts():
    """The others fail when their peer is gone: that is not the reason."""
    outcome, _, said, _ = run(
        """
    if worker == 2:
        sys.exit(7)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(8))
    wait()
    """,
        workers=3,
    )
    assert outcome == Outcome(7, failed=2)
    assert len(said) == 1


def test_who_does_not_stop_is_killed():
    outcome, output, _, seconds = run(
        f"""
    if worker == 0:
        {IGNORE}
        wait()
    # Not before the other ignores the signal.
    time.sleep(0.3)
    sys.exit(3)
    """,
        grace=0.3,
    )
    assert outcome == Outcome(3, failed=1)
    assert 0.3 <= seconds < 9
    assert all_end(output.pids("ready"))


@pytest.mark.parametrize("ignore", ["", f"import signal; {IGNORE}"])
def test_what_a_worker_leaves_behind_ends_too(ignore):
    outcome, output, _, seconds = run(
        f"""
        code = "import time; {ignore}; print('up', flush=True); time.sleep(60)"
        child = subprocess.Popen(
            [sys.executable, "-S", "-c", code], stdout=subprocess.PIPE
        )
        child.stdout.readline()
        print("child", child.pid)
        """,
        grace=0.3,
    )
    assert outcome == Outcome(0, failed=None)
    assert len(output.pids("child")) == 2
    assert all_end(output.pids("child"))
    assert seconds < 9


def interrupt(signum):
    """Return an output that sends this process a signal.

    When the second worker is ready, and whenever one asks for more.
    """
    words = []

    def on_text(text):
        for word in text.split():
            words.append(word)
            if word == "more" or (
                word == "ready" and words.count("ready") == 2
            ):
                os.kill(os.getpid(), signum)

    return Output(on_text)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on(signum):
    before = signal.getsignal(signum)
    outcome, output, said, seconds = run(
        """
        def stop(signum, frame):
            say(f"got {int(signum)}")
            sys.exit(1)
        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)
        wait()
    """,
        output=interrupt(signum),
    )
    assert outcome == Outcome(128 + signum, failed=None)
    assert output.pids("got") == [signum] * 2
    assert len(said) == 1
    assert signum.name in said[0]
    assert seconds < 9
    assert signal.getsignal(signum) is before


def test_a_second_signal_kills():
    outcome, output, _, seconds = run(
        """
        signal.signal(signal.SIGINT, lambda *_: say("more"))
        say("ready")
        while True:
            time.sleep(0.01)
        """,
        output=interrupt(signal.SIGINT),
        grace=60,
    )
    assert outcome == Outcome(130, failed=None)
    assert seconds < 9
    assert "more" in output.text[0, "stdout"] + output.text[1, "stdout"]


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        outcome, _, said, _ = run(
            "say('ready')", output=interrupt(signal.SIGHUP)
        )
    finally:
        signal.signal(signal.SIGHUP, before)
    assert outcome == Outcome(0, failed=None)
    assert said == []


def test_an_error_of_the_launcher_leaves_nobody_behind():
    def full(text):
        raise OSError(28, "No space left on device")

    output = Output(full)
    with pytest.raises(OSError, match="No space left"):
        run("wait()", output=output)
    assert output.pids("ready")
    assert all_end(output.pids("ready"))


def test_a_program_that_cannot_start():
    cluster = LocalCluster(["/no/such/program"], [{}, {}], Output(), print, 1)
    with pytest.raises(FileNotFoundError, match="/no/such/program"):
        cluster.run()
