"""Processes that start together and end together."""

import dataclasses
import selectors
import signal

from keras_lbreg.cli.launcher.worker import Worker
from keras_lbreg.processes.describe_exit import describe_exit
from keras_lbreg.processes.guardian import Guardian
from keras_lbreg.processes.received_signals import ReceivedSignals

# Seconds between two looks at the clock when nothing happens.
PAUSE = 0.1


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a cluster ended.

    Attributes:
        exit_code: 0; that of the first worker to fail; or 128 plus the number
            of the signal that stopped the launcher.
        failed: The first worker to fail, if one did. A launcher that was told
            to stop has not failed, whatever its workers then returned.
    """

    exit_code: int = 0
    failed: int | None = None


class LocalCluster:
    """Runs the same command in several processes until all have ended.

    When one fails, the others are stopped: they would wait for it in their
    next collective operation. A signal to this process is passed on to all,
    a second one kills them.

    Args:
        command: The command line, a list of strings.
        environments: The environment variables of each worker.
        output: `WorkerOutput`, or another object with its `write(worker,
            stream, data)` and `flush(worker)`.
        say: Function that is called with a sentence about the cluster.
        grace: Seconds that a worker has to end before it is killed.
    """

    def __init__(self, command, environments, output, say, grace):
        self.command = command
        self.environments = environments
        self.output = output
        self.say = say
        self.grace = grace
        self.workers = []
        self.outcome = None

    def run(self):
        """Start the workers, wait for all of them, and return the outcome."""
        with (
            Guardian() as guardian,
            ReceivedSignals() as received,
            selectors.DefaultSelector() as selector,
        ):
            selector.register(received, selectors.EVENT_READ)
            try:
                self._start(guardian, selector)
                while self._running():
                    self._read(selector)
                    self._obey(received.take())
                    for worker in self._running():
                        self._check(worker)
            finally:
                # An error of the launcher itself: a full disk, or nobody who
                # reads its output any more.
                self._stop_all(signal.SIGTERM)
                while self._running():
                    selector.select(PAUSE)
                    if received.take():
                        self._kill_all()
                    for worker in self._running():
                        worker.check()
                for worker in self.workers:
                    guardian.forget(worker.group)
                    worker.close()
        return self.outcome or Outcome()

    def _running(self):
        return [worker for worker in self.workers if not worker.gone]

    def _start(self, guardian, selector):
        for index, environment in enumerate(self.environments):
            worker = Worker(index, self.command, environment, self.grace)
            guardian.guard(worker.group)
            self.workers.append(worker)
            for stream, pipe in worker.pipes.items():
                selector.register(pipe, selectors.EVENT_READ, (worker, stream))

    def _read(self, selector):
        for key, _ in selector.select(PAUSE):
            # A signal has no data: it is looked at after the pipes.
            if key.data and self._pass_on(*key.data) == b"":
                selector.unregister(key.fileobj)

    def _pass_on(self, worker, stream):
        data = worker.read(stream)
        if data:
            self.output.write(worker.index, stream, data)
        return data

    def _obey(self, signum):
        """Do what a signal to the launcher asks for."""
        if signum is None:
            return
        if self.outcome is not None:
            self.outcome = Outcome(self.outcome.exit_code)
            self._kill_all()
            return
        self.outcome = Outcome(128 + signum)
        self.say(
            f"Stopping the workers ({signal.Signals(signum).name}). What has "
            f"not ended after {self.grace:g} s is killed; the same signal "
            "again kills now."
        )
        self._stop_all(signum)

    def _check(self, worker):
        if not worker.check():
            return
        for stream in worker.pipes:
            while self._pass_on(worker, stream):
                pass
        self.output.flush(worker.index)
        if worker.exit_code != 0 and self.outcome is None:
            self._fail(worker)

    def _fail(self, worker):
        code = worker.exit_code
        self.outcome = Outcome(128 - code if code < 0 else code, worker.index)
        others = any(other.exit_code is None for other in self.workers)
        self.say(
            f"Worker {worker.index} {describe_exit(code)}."
            f"{' Stopping the others.' if others else ''}"
        )
        self._stop_all(signal.SIGTERM)

    def _stop_all(self, signum):
        for worker in self.workers:
            worker.stop(signum)

    def _kill_all(self):
        for worker in self.workers:
            worker.kill()
