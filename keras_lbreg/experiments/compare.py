"""Run every arm with every seed."""

from keras_lbreg.experiments.events import CompareStarted
from keras_lbreg.experiments.experiment import Experiment
from keras_lbreg.experiments.results import (
    Results,
    RunResult,
    read_results,
    read_run,
)
from keras_lbreg.experiments.run import ended_for_good, heard, run_plan


def compare(experiment, on_event=None, fresh=False):
    """Run every arm of `experiment` with every seed and record the results.

    Called again after an interruption, however rude, it goes on where it
    stopped: ended runs are left alone, a half run goes on from its last
    checkpoint and comes to the same numbers. Arms and seeds can be added to a
    folder later; nothing else can be changed. A run that fails is recorded as
    failed and the others go on.

    All arms run with the first seed, then all with the second, so that a
    complete comparison is there early.

    Args:
        experiment: An `Experiment`, or the name of a dataset.
        on_event: Called with `StrategyChosen`, `CompareStarted`,
            `RunStarted`, `EpochEnded` and `RunEnded` objects
            (`keras_lbreg.experiments.events`) as they happen; of several
            workers, on the chief alone.
        fresh: Whether to delete earlier results of the same folder first.

    Returns:
        A `Results`.

    Raises:
        ValueError: The experiment cannot be run, or its folder holds the
            results of another configuration or a damaged file.

    Example:

    >>> results = keras_lbreg.experiments.compare("digits")
    >>> for row in arm_statistics(results):
    ...     print(row.title, row.final.mean)

    Reference: Hoffer et al. 2017, https://arxiv.org/abs/1705.08741
    """
    from keras_lbreg.experiments.workspace import Workspace

    if isinstance(experiment, str):
        experiment = Experiment(experiment)
    seeds = experiment.seed_range
    with Workspace(experiment, fresh, experiment.arms, seeds) as workspace:
        on_chief = workspace.placement.on_chief
        on_event = heard(on_event, workspace.placement)
        todo = [(plan, seed) for seed in seeds for plan in workspace.plans]
        workspace.announce_strategy(on_event)
        pending, samples = on_chief(lambda: left_to_do(workspace, todo))
        on_event(
            CompareStarted(
                experiment, workspace.manifest, len(todo), pending, samples
            )
        )
        for plan, seed in todo:
            run_plan(workspace, plan, seed, on_event)
        manifest, runs = on_chief(lambda: recorded(workspace.path))
        runs = tuple(map(RunResult.from_json, runs))
        return Results(workspace.path, manifest, runs)


def recorded(path):
    """The manifest and the runs of a results folder, as plain data."""
    results = read_results(path)
    return results.manifest, [run.to_json() for run in results.runs]


def left_to_do(workspace, todo):
    """The number of runs that have not ended, and samples left by arm."""
    pending = 0
    samples = {}
    for plan, seed in todo:
        result = read_run(workspace.path, plan.arm.name, seed)
        if result is None or not ended_for_good(result):
            pending += 1
            left = plan.samples
            if result is not None and result.epochs:
                left -= result.epochs[-1].samples
            name = plan.arm.name
            samples[name] = samples.get(name, 0) + left
    return pending, samples
