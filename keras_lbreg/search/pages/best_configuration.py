"""The winner of a search as a configuration file."""

import math

from keras_lbreg.experiments.configuration_file import ConfigurationFile
from keras_lbreg.search.pages.tune_command import tune_command


def best_configuration(results):
    """Return the winner as `lbreg train --config` reads it.

    Args:
        results: A `SearchResults` with a completed trial.

    Returns:
        A `keras_lbreg.experiments.configuration_file.ConfigurationFile`, with
        the search it comes from in its `origin`.

    Raises:
        ValueError: No trial has completed.

    Example:

    >>> best_configuration(read_search("runs/tune-digits")).techniques
    {'lr_scaling': {'rule': 'sqrt', 'warmup_epochs': 2}}

    Reference: `keras_lbreg.experiments.configuration_file`.
    """
    winner = results.best
    if winner is None:
        raise ValueError(
            "Invalid value for argument `results`. Expected a search with a "
            f"completed trial. Received: the search in {results.path}, which "
            "has none."
        )
    configuration = winner.configuration
    resolved = results.manifest["resolved"]
    return ConfigurationFile(
        dataset=results.search["dataset"],
        batch_size=configuration.batch_size,
        small_batch_size=resolved["base_batch_size"],
        epochs=resolved["epochs"],
        techniques=configuration.techniques,
        learning_rate_factor=configuration.learning_rate_factor,
        origin={
            "command": tune_command(results.search),
            "trial": winner.id,
            "score": winner.score,
            "std": None if math.isnan(winner.std) else winner.std,
            "seeds": [run.seed for run in winner.executions],
            "versions": results.manifest["versions"],
            "git_commit": results.manifest["git_commit"],
        },
    )
