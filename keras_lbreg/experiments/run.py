"""Train one arm with one seed."""


def run(experiment, arm, seed=0, on_event=None, fresh=False, model_path=None):
    """Train one arm with one seed and record it; resumes what was begun.

    Args:
        experiment: An `Experiment`.
        arm: Name of the arm.
        seed: Seed of the run.
        on_event: Called with each event, see `compare`.
        fresh: Whether to delete an earlier run of this arm and seed first.
        model_path: `.keras` file to save the trained plain model in.

    Returns:
        A `RunResult`.
    """
