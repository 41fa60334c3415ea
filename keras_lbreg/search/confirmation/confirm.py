"""Train the winner of a search again, beside what nobody tuned."""

import contextlib
import os
import signal
import subprocess
import sys

from keras_lbreg.experiments.manifest import read_manifest
from keras_lbreg.experiments.results import read_results, read_run
from keras_lbreg.processes.describe_exit import describe_exit
from keras_lbreg.processes.guardian import Guardian
from keras_lbreg.search.confirmation.confirm_experiment import (
    confirm_experiment,
    confirm_path,
)
from keras_lbreg.search.events import (
    ConfirmEnded,
    ConfirmProgress,
    ConfirmStarted,
)
from keras_lbreg.search.search import Search
from keras_lbreg.search.trials.child_environment import child_environment

# Seconds between two looks at what the comparison has recorded.
PAUSE = 0.5


def confirm(results, on_event=None):
    """Compare the winner with the small and the untuned large batch.

    The best of many trials owes part of its score to luck: to its seeds, and
    to the samples that trials were judged by. So it is trained again with
    seeds that no trial had, on all training data, and judged by the dataset's
    own validation data, which no trial has seen unless `holdout` was 0. Beside
    it train the small batch, the plain large batch, and the large batch with
    learning-rate scaling, which costs nothing: for as many epochs, unless the
    winner has regime adaptation.

    It runs in a process of its own. Called again, it goes on where it stopped.

    Args:
        results: A `SearchResults` with a completed trial.
        on_event: Called with `ConfirmStarted`, `ConfirmProgress` and
            `ConfirmEnded` objects (`keras_lbreg.search.events`).

    Returns:
        The comparison's `keras_lbreg.experiments.Results`.

    Raises:
        ValueError: No trial has completed, or the search wants no seeds for
            this.
        RuntimeError: The process failed; the message ends with what it
            printed last.

    Example:

    >>> comparison = confirm(read_search("runs/tune-digits"))
    >>> print(confirm_headline(comparison))

    Reference: Cawley and Talbot 2010, "On over-fitting in model selection and
    subsequent selection bias in performance evaluation".
    """
    on_event = on_event or ignore
    experiment = confirm_experiment(results)
    seeds = tuple(experiment.seed_range)
    folder = confirm_path(results)
    on_event(ConfirmStarted(folder, experiment.arms, seeds))
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log.txt"
    with Guardian() as guardian, open(log, "ab") as output:
        child = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "keras_lbreg.search.confirmation.run_confirm",
                str(results.path),
            ],
            env=child_environment(Search.from_json(results.search)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        guardian.guard(child.pid)
        try:
            watch(child, folder, seeds, on_event)
        finally:
            # Killed at any moment, it goes on from its last checkpoint.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            guardian.forget(child.pid)
    if child.returncode:
        raise RuntimeError(
            f"The comparison of the winner {describe_exit(child.returncode)}. "
            "The same call goes on with it. It printed last (all of it in "
            f"{log}):\n{log.read_text(errors='replace')[-2000:]}"
        )
    comparison = read_results(folder)
    on_event(ConfirmEnded(comparison))
    return comparison


def watch(child, folder, seeds, on_event):
    """Tell the progress of a comparison until its process has ended."""
    told = {}
    ended = False
    while not ended:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(PAUSE)
            ended = True
        # Runs of an earlier winner may vanish while they are looked at.
        with contextlib.suppress(FileNotFoundError):
            for progress in progress_in(folder, seeds):
                run = progress.arm, progress.seed
                if told.get(run) != progress.epoch:
                    told[run] = progress.epoch
                    on_event(progress)


def progress_in(folder, seeds):
    """How far each run of a comparison has come."""
    if not (folder / "manifest.json").is_file():
        return
    arms = read_manifest(folder)["arms"]
    for seed in seeds:
        for arm in arms:
            run = read_run(folder, arm["name"], seed)
            if run is not None and run.epochs:
                last = run.epochs[-1]
                yield ConfirmProgress(
                    arm["name"],
                    seed,
                    last.epoch,
                    arm["epochs"],
                    last.val_accuracy,
                )


def ignore(event):
    """Nobody listens to the events."""
