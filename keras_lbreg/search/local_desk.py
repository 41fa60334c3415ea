"""Hands out the trials of a search that runs on one machine."""


class LocalDesk:
    """The desk of a search whose slots are all in this process.

    Trials that an earlier session has left come first, the oldest before the
    others.

    Args:
        book: The `TrialBook`.

    Example:

    >>> trial_id, status, values = LocalDesk(book).create_trial("node7:0")

    Reference: `TrialLoop`.
    """

    def __init__(self, book):
        self.book = book
        self._left = list(book.unfinished())

    def create_trial(self, worker):
        """A slot asks for a trial: its id, status and values."""
        if self._left:
            trial_id = self._left.pop(0)
            answer = trial_id, "RUNNING", self.book.values(trial_id)
        else:
            answer = self.book.create()
        if answer[1] == "RUNNING":
            self.book.start(answer[0], worker)
        return answer

    def get_trial(self, worker, trial_id, progress=None):
        """A slot has come further with its trial, or still has it."""
        if progress is not None:
            self.book.progress(trial_id, progress)

    def update_trial(self, worker, trial_id, execution):
        """A slot has ended an execution of its trial."""
        self.book.execution_ended(trial_id, execution)

    def end_trial(self, worker, trial_id, status, reason=None):
        """A slot has ended its trial."""
        self.book.end(trial_id, status, reason)
