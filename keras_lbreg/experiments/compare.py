"""Run every arm with every seed."""


def compare(experiment, on_event=None, fresh=False):
    """Run every arm of `experiment` with every seed and record the results.

    Called again after an interruption it goes on where it stopped.

    Args:
        experiment: An `Experiment`, or the name of a dataset.
        on_event: Called with `CompareStarted`, `RunStarted`, `EpochEnded` and
            `RunEnded` objects as they happen.
        fresh: Whether to delete earlier results of the same folder first.

    Returns:
        A `Results`.
    """


def run(experiment, arm, seed=0, on_event=None, model_path=None, fresh=False):
    """Run one arm with one seed; saves the trained model if asked.

    Returns:
        A `RunResult`.
    """
