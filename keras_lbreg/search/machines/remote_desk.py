"""The chief's desk, as a worker on another machine sees it."""

import collections
import logging
import time

from keras_lbreg.search.machines.chief_desk import BEAT, GIVEN_BACK, IDLE
from keras_lbreg.search.machines.chief_errors import (
    ChiefSilentError,
    TrialTakenError,
)

logger = logging.getLogger("keras_lbreg")

# Seconds to wait for the chief to begin, and for one that has gone away.
FIRST_ANSWER = 120.0
PATIENCE = 600.0
# Seconds between two questions to which there was no good answer.
ASK_AGAIN = 1.0


class RemoteDesk:
    """Passes on to the chief what a `TrialLoop` asks and tells.

    What there is to report is kept until the chief has answered. While the
    chief is away, perhaps being started again, the trials go on.

    Args:
        client: The `OracleClient`.
        address: Where the chief listens, for messages.
        patience: Seconds to wait for a chief that does not answer.
        clock: Function that returns seconds.

    Example:

    >>> with connect_oracle(role.address, token) as client:
    ...     desk = RemoteDesk(client, role.address)
    ...     trial_id, status, values = desk.create_trial("worker0:0")

    Reference: `ChiefDesk`, at the other end of the line.
    """

    def __init__(
        self, client, address, patience=PATIENCE, clock=time.monotonic
    ):
        self.client = client
        self.address = address
        self.patience = patience
        self.clock = clock
        # Which slot has which trial.
        self._slots = {}
        self._progress = {}
        self._reports = collections.deque()
        self._silent_since = None
        # When to ask again for a trial, and to tell of each that runs.
        self._ask_after = self._silent_until = clock()
        self._beat_after = {}

    def create_trial(self, worker):
        """A slot asks for a trial: its id, status and values."""
        self._send_reports()
        if self._reports or self.clock() < self._ask_after:
            return IDLE
        try:
            trial_id, status, values = self._ask("create_trial", worker)
        except ChiefSilentError:
            return IDLE
        if status == "IDLE":
            self._ask_after = self.clock() + ASK_AGAIN
        elif status == "RUNNING":
            self._slots[trial_id] = worker
        return trial_id, status, values

    def get_trial(self, worker, trial_id, progress=None):
        """A slot has come further with its trial, or still has it.

        Raises:
            TrialTakenError: Another worker has it by now.
            ConnectionError: The chief has not answered for too long.
        """
        self._send_reports()
        if progress is not None:
            self._progress[trial_id] = progress
        if self._reports or self.clock() < self._beat_after.get(trial_id, 0):
            return
        self._beat_after[trial_id] = self.clock() + BEAT
        progress = self._progress.pop(trial_id, None)
        try:
            self._ask("get_trial", worker, trial_id, progress)
        except ChiefSilentError:
            return
        except TrialTakenError:
            del self._slots[trial_id]
            raise

    def update_trial(self, worker, trial_id, execution):
        """A slot has ended an execution of its trial."""
        self._report("update_trial", worker, trial_id, execution)

    def end_trial(self, worker, trial_id, status, reason=None):
        """A slot has ended its trial."""
        del self._slots[trial_id]
        self._report("end_trial", worker, trial_id, status, reason)

    def leave(self):
        """Give back all trials, for other workers to go on with."""
        for trial_id, worker in list(self._slots.items()):
            self.end_trial(worker, trial_id, GIVEN_BACK)

    def _report(self, *message):
        self._reports.append(message)
        self._send_reports()

    def _send_reports(self):
        while self._reports:
            try:
                self._ask(*self._reports[0])
            except ChiefSilentError:
                return
            except TrialTakenError as error:
                # Its new worker finds what is done on disk, and reports it.
                logger.warning("%s", error)
            self._reports.popleft()

    def _ask(self, method, *args):
        if self._silent_since is not None and self.clock() < self._silent_until:
            raise ChiefSilentError("It was asked a moment ago.")
        try:
            answer = getattr(self.client, method)(*args)
        except ChiefSilentError as error:
            self._note_silence(error)
            raise
        except TrialTakenError:
            self._silent_since = None
            raise
        self._silent_since = None
        return answer

    def _note_silence(self, error):
        now = self.clock()
        self._silent_until = now + ASK_AGAIN
        if self._silent_since is None:
            self._silent_since = now
            logger.warning(
                "The chief at %s does not answer. Trials go on meanwhile; "
                "start it again with the same command.",
                self.address,
            )
        elif now - self._silent_since > self.patience:
            raise ConnectionError(
                f"The chief of the search at {self.address} has not answered "
                f"for {self.patience:.0f} seconds ({error}). The running "
                "trials were stopped, and go on from their checkpoints once "
                "chief and workers are started again with the same command."
            )


def wait_for_chief(client, role, timeout=FIRST_ANSWER):
    """Return when the chief answers.

    Args:
        client: The `OracleClient`.
        role: The worker's `SearchRole`.
        timeout: Seconds to wait.

    Raises:
        ConnectionError: Nobody answers.

    Example:

    >>> wait_for_chief(client, role)

    Reference: KerasTuner waits an hour.
    """
    deadline = time.monotonic() + timeout
    told = False
    while True:
        try:
            client.greet(role.name)
            return
        except ChiefSilentError as error:
            if time.monotonic() > deadline:
                raise ConnectionError(
                    f"No chief of a search answers at {role.address} "
                    f"({error}). Start the same command with KERASTUNER_"
                    "TUNER_ID=chief on that machine, and check KERASTUNER_"
                    "ORACLE_IP, KERASTUNER_ORACLE_PORT and the firewall. "
                    "Perhaps the search has ended."
                ) from None
        if not told:
            logger.warning("Waiting for the chief at %s.", role.address)
            told = True
        time.sleep(ASK_AGAIN)
