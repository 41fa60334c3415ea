"""Search for good settings, one process for each trial."""


def run_search(search, on_event=None, fresh=False):
    """Run the trials of a search, or those that are left.

    Args:
        search: The `Search`.
        on_event: Called with the objects of `keras_lbreg.search.events`, in
            the calling thread.
        fresh: Whether to delete an earlier search in the same folder first.

    Returns:
        A `SearchResults`.

    Raises:
        ValueError: The search has a mistake, or its folder holds another
            search. No trial was started.
        KeyboardInterrupt: This process was asked to stop (SIGINT, SIGTERM).
            The same call goes on where it stopped.

    Example:

    >>> results = run_search(Search("digits", trials=10))

    Reference: https://keras.io/keras_tuner
    """
