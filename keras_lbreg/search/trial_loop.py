"""The loop that keeps several trials running at a time."""

import dataclasses
import socket

from keras_lbreg.processes.describe_exit import describe_exit
from keras_lbreg.search.machines.chief_errors import TrialTakenError
from keras_lbreg.search.oracles.trial_oracle import (
    COMPLETED,
    FAILED,
    RUNNING,
    STOPPED,
)
from keras_lbreg.search.trials.child_environment import child_environment
from keras_lbreg.search.trials.trial_folder import TrialFolder
from keras_lbreg.search.trials.trial_process import TrialProcess, stop_processes


@dataclasses.dataclass
class Slot:
    """A place for one trial at a time.

    Args:
        worker: Its name, `"name:number"`.
        environment: Environment variables of its trials.
        trial_id: The trial that it has, or `None`.
        folder: The `TrialFolder`.
        process: The `TrialProcess`.
        reported: Number of its executions that were reported.

    Example:

    >>> Slot("node7:0", child_environment(search, 0))

    Reference: `TrialLoop`.
    """

    worker: str
    environment: dict
    trial_id: str | None = None
    folder: TrialFolder | None = None
    process: TrialProcess | None = None
    reported: int = 0


class TrialLoop:
    """Runs trials, each in a process of its own, until there are no more.

    Nothing here waits: `step` is called again and again, by whoever also
    listens to signals or to other machines. Use it as a context manager; at
    its end, what still runs is stopped. It goes on from its checkpoints when
    its trial is run again.

    Args:
        search: The `Search`.
        manifest: Content of its `search.json`.
        path: Its folder.
        space: Its `SearchSpace`.
        desk: Where trials come from and results go: an object with
            `create_trial(worker)`, which returns `(trial_id, status, values)`,
            `get_trial(worker, trial_id, progress)` for what is under way,
            `update_trial(worker, trial_id, execution)` and
            `end_trial(worker, trial_id, status, reason)`.
        guardian: The `Guardian` that kills the trials should this process
            be killed.
        name: Name of the slots but for their number. Defaults to the host's.

    Example:

    >>> with TrialLoop(...) as loop:
    ...     while not loop.ended:
    ...         loop.step()
    ...         time.sleep(0.1)

    Reference: `keras_tuner.Tuner.search`, one trial after the other.
    """

    def __init__(
        self, search, manifest, path, space, desk, guardian, name=None
    ):
        self.search = search
        self.resolved = manifest["resolved"]
        self.path = path
        self.space = space
        self.desk = desk
        self.guardian = guardian
        self.stopped = False
        self.slots = [
            Slot(
                f"{name or socket.gethostname()}:{index}",
                child_environment(search, index),
            )
            for index in range(search.workers)
        ]

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        processes = [slot.process for slot in self.slots if slot.process]
        stop_processes(processes)
        for process in processes:
            self.guardian.forget(process.group)

    @property
    def ended(self):
        """Whether there are no more trials, here or to be had."""
        return self.stopped and all(x.trial_id is None for x in self.slots)

    def step(self):
        """Look after all slots once."""
        for slot in self.slots:
            try:
                if slot.trial_id is None and not self.stopped:
                    self._fill(slot)
                if slot.trial_id is not None:
                    self._look_after(slot)
            except TrialTakenError:
                self._empty(slot)

    def _fill(self, slot):
        trial_id, status, values = self.desk.create_trial(slot.worker)
        self.stopped = status == STOPPED
        if status != RUNNING:
            return
        slot.trial_id = trial_id
        slot.reported = 0
        slot.folder = TrialFolder(
            self.path / "trials" / trial_id, self.search.executions
        )
        configuration = self.space.configuration(values)
        reason = self.space.infeasible(configuration, self.resolved["samples"])
        if reason is not None:
            self._end(slot, FAILED, reason)
        elif not slot.folder.complete() and not slot.folder.failure():
            slot.folder.write_spec(
                self.search, configuration, values, self.resolved["epochs"]
            )
            slot.process = TrialProcess(slot.folder, slot.environment)
            self.guardian.guard(slot.process.group)

    def _look_after(self, slot):
        # First: what it wrote before it ended is there when it has ended.
        code = slot.process.exit_code() if slot.process else 0
        for execution in slot.folder.ended()[slot.reported :]:
            self.desk.update_trial(slot.worker, slot.trial_id, execution)
            slot.reported += 1
        if code is None:
            progress = slot.folder.progress()
            self.desk.get_trial(slot.worker, slot.trial_id, progress)
        elif slot.folder.complete():
            self._end(slot, COMPLETED)
        else:
            self._end(slot, FAILED, why_failed(slot.folder, code))

    def _end(self, slot, status, reason=None):
        self.desk.end_trial(slot.worker, slot.trial_id, status, reason)
        self._empty(slot)

    def _empty(self, slot):
        if slot.process:
            stop_processes([slot.process])
            self.guardian.forget(slot.process.group)
        slot.trial_id = slot.folder = slot.process = None


def why_failed(folder, code):
    """Why a trial whose process has ended did not complete.

    Args:
        folder: The `TrialFolder`.
        code: The exit code.
    """
    if reason := folder.failure(final=True):
        return reason
    reason = f"its process {describe_exit(code)}"
    words = folder.last_words()
    return f"{reason}: {words}" if words and code > 0 else reason
