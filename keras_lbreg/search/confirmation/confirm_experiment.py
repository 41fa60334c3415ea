"""What is compared to confirm the winner of a search."""

import pathlib

from keras_lbreg.experiments import Experiment
from keras_lbreg.experiments.arms import BASELINE, REFERENCE
from keras_lbreg.experiments.configuration_file import (
    TUNED,
    read_configuration,
)
from keras_lbreg.experiments.headline import SCALING
from keras_lbreg.experiments.results import configuration_path, read_results
from keras_lbreg.search.pages.best_configuration import best_configuration

# None of the search's seeds, which count from 0.
FIRST_SEED = 1000


def confirm_experiment(results):
    """The small batch, the large batch, a scaled rate, and the winner.

    Args:
        results: A `SearchResults` with a completed trial.

    Returns:
        An `Experiment` on all training data, judged by the dataset's own
        validation data, with seeds that no trial had.

    Raises:
        ValueError: No trial has completed, or the search wants no seeds for
            this.

    Example:

    >>> confirm_experiment(read_search("runs/tune-digits")).seed_range
    range(1000, 1003)

    Reference: `keras_lbreg.search.confirmation.confirm`.
    """
    found = best_configuration(results)
    search = results.search
    return Experiment(
        found.dataset,
        arms=(REFERENCE, BASELINE, SCALING, TUNED),
        seeds=search["confirm_seeds"],
        small_batch_size=found.small_batch_size,
        batch_size=found.batch_size,
        epochs=found.epochs,
        data_dir=search["data_dir"],
        out_dir=str(confirm_path(results)),
        strategy=search["strategy"],
        devices=search["devices"],
        extra_arms=(found.arm(),),
        first_seed=FIRST_SEED,
    )


def confirm_path(results):
    """The folder of a search's comparison on fresh seeds."""
    return pathlib.Path(results.path) / "confirm"


def read_confirmation(results):
    """The comparison of the search's winner, as far as it has come.

    Args:
        results: A `SearchResults`.

    Returns:
        A `keras_lbreg.experiments.Results`, or `None` where there is none, or
        one of a trial that was the best before.
    """
    folder = confirm_path(results)
    file = configuration_path(folder, TUNED)
    if results.best is None or not file.is_file():
        return None
    there, found = read_configuration(file), best_configuration(results)
    # What a search leaves to the recipe has been filled in there.
    same = there.techniques.keys() == found.techniques.keys() and all(
        own.items() <= there.techniques[name].items()
        for name, own in found.techniques.items()
    )
    same = same and all(
        getattr(there, name) == getattr(found, name)
        for name in ("batch_size", "learning_rate_factor", "epochs")
    )
    return read_results(folder) if same else None
