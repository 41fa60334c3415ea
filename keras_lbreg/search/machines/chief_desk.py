"""Which worker of a search on several machines runs which trial."""

import logging
import time

from keras_lbreg.search.machines.chief_errors import TrialTakenError

logger = logging.getLogger("keras_lbreg")

# A worker is heard every few seconds (`BEAT`). One that is silent for so many
# has died, or cannot be reached.
SILENCE = 30.0
BEAT = 3.0

# What a worker that asks for a trial may get in its place.
IDLE = (None, "IDLE", {})
STOPPED = (None, "STOPPED", {})
# KerasTuner's status of a trial that somebody is to try again.
GIVEN_BACK = "INVALID"


class ChiefDesk:
    """Answers the workers' messages.

    A worker is known by its name and by a token of its process. KerasTuner
    takes a worker for alive for ever. Here one that has not been heard for
    `silence` seconds has lost its trial: the next worker that asks gets it,
    and the first one is told so, should it come back.

    After a restart of the chief, a trial without an end is taken to be with
    the worker that the ledger names, until that one is heard or has been
    silent for too long. So a chief that is killed, or a worker, loses no
    trial, and none is run twice.

    Args:
        book: What knows the trials, a `TrialBook`.
        silence: Seconds without a message after which a worker is gone.
        clock: Function that returns seconds.

    Example:

    >>> desk = ChiefDesk(book)
    >>> with serve_oracle(desk, inbox, "10.0.0.1:8000"):
    ...     while not desk.ended:
    ...         inbox.work(seconds=0.2)

    Reference: KerasTuner's `OracleServicer`.
    """

    def __init__(self, book, silence=SILENCE, clock=time.monotonic):
        self.book = book
        self.silence = silence
        self.clock = clock
        # An earlier session may have left nothing to do.
        self.exhausted = book.closed()
        # When each process was last heard, by its token.
        self._heard = {None: clock()}
        self._ended_by = {}
        # Who has a trial: name and token. The ledger knows no tokens.
        self._holders = {
            trial_id: (worker, None)
            for trial_id, worker in book.unfinished().items()
        }

    @property
    def ended(self):
        """Whether all trials have ended, and all workers know."""
        return self.exhausted and not self._holders and not self.present

    @property
    def present(self):
        """Tokens of the workers that are there."""
        return [x for x in self._heard if x is not None and not self._gone(x)]

    def greet(self, caller):
        """A worker makes sure that the chief is there."""
        self._hear(caller)

    def create_trial(self, caller):
        """A worker asks for a trial: its id, status and values."""
        holder = self._hear(caller)
        trial_id = self._held_by(holder)
        if trial_id is None:
            trial_id = self._left_behind()
        if trial_id is None and not self.exhausted:
            trial_id, status, _ = self.book.create()
            self.exhausted = status == "STOPPED"
        if trial_id is not None:
            if self._holders.get(trial_id) != holder:
                self._holders[trial_id] = holder
                self.book.start(trial_id, holder[0])
            return trial_id, "RUNNING", self.book.values(trial_id)
        if self._holders or not self.exhausted:
            # Should a worker die, another one is there for its trial.
            return IDLE
        del self._heard[caller["token"]]
        return STOPPED

    def get_trial(self, caller, trial_id, progress=None):
        """A worker is running the trial, and has come so far."""
        self._check_holder(trial_id, self._hear(caller))
        if progress is not None:
            self.book.progress(trial_id, progress)

    def update_trial(self, caller, trial_id, execution):
        """A worker has ended an execution of the trial."""
        self._check_holder(trial_id, self._hear(caller))
        self.book.execution_ended(trial_id, execution)

    def end_trial(self, caller, trial_id, status, reason):
        """A worker has ended the trial, or gives it back."""
        holder = self._hear(caller)
        if self._ended_by.get(trial_id) == holder:
            # The answer to its first message was lost.
            return
        self._check_holder(trial_id, holder)
        if status == GIVEN_BACK:
            self._holders[trial_id] = None, None
            return
        self.book.end(trial_id, status, reason)
        del self._holders[trial_id]
        self._ended_by[trial_id] = holder

    def _hear(self, caller):
        self._heard[caller["token"]] = self.clock()
        return caller["worker"], caller["token"]

    def _gone(self, token):
        return self.clock() - self._heard[token] > self.silence

    def _held_by(self, holder):
        """The trial that a worker had when it, or the chief, went away."""
        before_restart = holder[0], None
        for trial_id, other in self._holders.items():
            if other in (holder, before_restart):
                return trial_id
        return None

    def _left_behind(self):
        """A trial whose worker has gone."""
        for trial_id, (worker, token) in self._holders.items():
            if worker is None:
                return trial_id
            if self._gone(token):
                logger.warning(
                    "%s has not been heard for %.0f seconds: trial %s goes on "
                    "elsewhere.",
                    worker,
                    self.silence,
                    trial_id,
                )
                return trial_id
        return None

    def _check_holder(self, trial_id, holder):
        """Raise unless the trial is this worker's."""
        worker, token = self._holders.get(trial_id, (None, ""))
        if token is None:
            # The chief was started again; the worker has gone on meanwhile.
            self._holders[trial_id] = holder
        elif (worker, token) != holder:
            where = f"{worker} has it" if worker else "it has ended"
            raise TrialTakenError(
                f"Trial {trial_id} is not {holder[0]}'s any more: {where}."
            )
