"""The part of KerasTuner that decides what to try next."""

import copy

import keras_tuner

from keras_lbreg.search.oracle_in_memory import OracleInMemory
from keras_lbreg.search.search import MOST_TRIALS

# KerasTuner would stop at three failures in a row, and leave its lock locked.
FAILURES = 10**9

# Trials at random before the Gaussian process takes over. KerasTuner's own
# number, three for every dimension, is more than most searches have trials.
RANDOM_TRIALS = 10


class ReplayedOracle(OracleInMemory):
    """Mix-in of an oracle that proposes what it proposed before.

    While `recorded` holds the values of a trial, they are what it proposes.
    The oracle is asked all the same, so that its state goes on.
    """

    recorded = None

    def populate_space(self, trial_id):
        proposal = super().populate_space(trial_id)
        if self.recorded is None:
            return proposal
        return {"status": "RUNNING", "values": dict(self.recorded)}


class RandomOracle(ReplayedOracle, keras_tuner.oracles.RandomSearchOracle):
    """Proposes values at random."""


class BayesianOracle(
    ReplayedOracle, keras_tuner.oracles.BayesianOptimizationOracle
):
    """Proposes what promises most under a Gaussian process."""


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
        "bayesian": (BayesianOracle, {"num_initial_points": RANDOM_TRIALS}),
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
        hyperparameters=keras_tuner.HyperParameters.from_config(
            # A copy: KerasTuner makes objects of what is in the lists.
            {"space": copy.deepcopy(space), "values": {}}
        ),
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
