"""Run trials on this machine until there are no more."""

from keras_lbreg.processes.guardian import Guardian
from keras_lbreg.search.trial_loop import TrialLoop

# Seconds between two looks at the trials.
PAUSE = 0.2


def run_trials(search, folder, space, desk, listener, name=None):
    """Run the trials that a desk hands out, each in a process of its own.

    Args:
        search: The `Search`.
        folder: Its folder: an object with `path` and `manifest`.
        space: Its `SearchSpace`.
        desk: Where trials come from and results go, see `TrialLoop`.
        listener: Tells whether to stop, see `listen`.
        name: What the desk is to call this process. Defaults to the host's
            name.

    Returns:
        Whether it came to the end. If not, the trials were stopped.

    Example:

    >>> with listen() as listener:
    ...     run_trials(search, folder, space, LocalDesk(book), listener)

    Reference: `TrialLoop`.
    """
    with (
        Guardian() as guardian,
        TrialLoop(
            search, folder.manifest, folder.path, space, desk, guardian, name
        ) as loop,
    ):
        while True:
            loop.step()
            if loop.ended:
                return True
            if listener.wait(PAUSE):
                return False
