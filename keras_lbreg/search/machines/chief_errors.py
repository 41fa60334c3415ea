"""What a worker of a search may hear from its chief, or not hear."""


class ChiefSilentError(Exception):
    """The chief did not answer a call. It may do so later.

    Example:

    >>> client.create_trial("worker0")
    Traceback (most recent call last):
    ChiefSilentError: failed to connect to all addresses

    Reference: `keras_lbreg.search.machines.keras_tuner_hooks`.
    """


class TrialTakenError(Exception):
    """The trial is no longer this worker's: another has it, or it has ended.

    Example:

    >>> client.get_trial("worker0", "007")
    Traceback (most recent call last):
    TrialTakenError: worker1 has trial 007

    Reference: `keras_lbreg.search.machines.chief_desk`.
    """
