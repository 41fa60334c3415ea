"""Search for good settings, one process for each trial."""

from keras_lbreg.search.check_in_child import check_in_child
from keras_lbreg.search.events import SearchEnded, SearchStarted
from keras_lbreg.search.listen import listen
from keras_lbreg.search.local_desk import LocalDesk
from keras_lbreg.search.machines.search_role import read_search_role
from keras_lbreg.search.run_trials import run_trials
from keras_lbreg.search.search_folder import SearchFolder
from keras_lbreg.search.trial_book import TrialBook


def run_search(search, on_event=None, fresh=False):
    """Run the trials of a search, or those that are left.

    Each trial is a process, which is given a configuration and goes on from
    its checkpoints if it was begun before. This process only decides what to
    try next, and writes down what comes out. Called again after an
    interruption, however rude, it goes on where it stopped. `trials`,
    `budget`, `workers` and `confirm_seeds` may be others then.

    Where KerasTuner's environment variables for several machines are set
    (`KERASTUNER_TUNER_ID`, `KERASTUNER_ORACLE_IP`, `KERASTUNER_ORACLE_PORT`),
    the chief hands out the trials and runs none, and a worker runs those that
    it is given; the folder has to be shared by all of them.

    Args:
        search: The `Search`.
        on_event: Called with the objects of `keras_lbreg.search.events`, in
            the calling thread.
        fresh: Whether to delete an earlier search in the same folder first.

    Returns:
        A `SearchResults`.

    Raises:
        ValueError: The search has a mistake, or its folder holds another
            search. No trial was started. Or the environment variables for
            several machines are wrong.
        ConnectionError: The chief, or all workers, cannot be reached.
        KeyboardInterrupt: This process was asked to stop (SIGINT, SIGTERM).
            The same call goes on where it stopped.

    Example:

    >>> results = run_search(Search("digits", trials=10))
    >>> results.best.configuration

    Reference: https://keras.io/keras_tuner
    """
    on_event = on_event or ignore
    role = read_search_role()
    if role is not None and not role.is_chief:
        # It needs gRPC, which a search on one machine does without.
        from keras_lbreg.search.machines.run_worker import run_worker

        return run_worker(search, role, on_event)
    facts = check_in_child(search)
    with SearchFolder(search, facts, fresh) as folder:
        book = TrialBook(search, folder.manifest, folder.path, on_event)
        on_event(
            SearchStarted(
                search,
                book.results(),
                folder.manifest["space"],
                folder.manifest["resolved"]["epochs"],
            )
        )
        with listen() as listener:
            if role is None:
                ended = run_trials(
                    search, folder, book.space, LocalDesk(book), listener
                )
            else:
                from keras_lbreg.search.machines.run_chief import run_chief

                ended = run_chief(role, book, listener)
        if not ended:
            book.interrupt()
            raise KeyboardInterrupt
        book.end_search()
        results = book.results()
    on_event(SearchEnded(results))
    return results


def ignore(event):
    """Nobody listens to the events."""
