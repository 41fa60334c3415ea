"""The part of KerasTuner that decides what to try next."""

import copy

import keras_tuner

from keras_lbreg.search.oracles.bayesian_oracle import BayesianOracle
from keras_lbreg.search.oracles.replayed_oracle import ReplayedOracle
from keras_lbreg.search.search import MOST_TRIALS

# KerasTuner would stop at three failures in a row, and leave its lock locked.
FAILURES = 10**9


class RandomOracle(ReplayedOracle, keras_tuner.oracles.RandomSearchOracle):
    """Proposes values at random."""


class HyperbandOracle(ReplayedOracle, keras_tuner.oracles.HyperbandOracle):
    """Proposes many short trials, and the best of them again, longer."""


class GridOracle(ReplayedOracle, keras_tuner.oracles.GridSearchOracle):
    """Proposes one combination of values after the other."""


def make_oracle(search, space, epochs):
    """Make the oracle of a search, at its beginning.

    Args:
        search: The `Search`.
        space: Every hyperparameter, as `keras_tuner` writes its `get_config`.
        epochs: Epochs of a run that is not stopped early.

    Returns:
        A `keras_tuner.Oracle`.

    Example:

    >>> oracle = make_oracle(search, space, epochs=20)
    >>> oracle.create_trial("worker").hyperparameters.values

    Reference: https://keras.io/keras_tuner/api/oracles
    """
    kinds = {
        "random": (RandomOracle, {}),
        "bayesian": (BayesianOracle, {}),
        # Sweep follows sweep until the search has its trials.
        "hyperband": (
            HyperbandOracle,
            {"max_epochs": epochs, "hyperband_iterations": None},
        ),
        "grid": (GridOracle, {}),
    }
    kind, settings = kinds[search.tuner]
    oracle = kind(
        objective=keras_tuner.Objective("val_accuracy", "max"),
        hyperparameters=as_hyperparameters(space),
        seed=oracle_seed(search.seed),
        max_consecutive_failed_trials=FAILURES,
        **settings,
    )
    oracle.verbose = 0
    # It numbers trials with as many digits; how many there are, we decide.
    oracle.max_trials = MOST_TRIALS
    return oracle


def oracle_seed(seed):
    """KerasTuner's seed for a seed of ours.

    To KerasTuner 0 is no seed, and two seeds close to each other give the
    same random values, shifted by a few.
    """
    return 1 + 1_000_003 * seed % (2**32 - 1)


def as_hyperparameters(space):
    """The `keras_tuner.HyperParameters` of a space, at its defaults.

    Without the values, KerasTuner takes what depends on a default for absent,
    and fills it in at random.
    """
    # A copy: KerasTuner makes objects of what is in the lists.
    config = {"space": copy.deepcopy(space), "values": {}}
    hp = keras_tuner.HyperParameters.from_config(config)
    for parameter in hp.space:
        if hp.is_active(parameter):
            hp.values[parameter.name] = parameter.default
    return hp
