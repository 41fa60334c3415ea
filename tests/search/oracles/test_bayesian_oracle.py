"""What `BayesianOracle` relies on in KerasTuner 1.4, and what it gains."""

import keras_tuner
import numpy as np
import pytest

from keras_lbreg.search import Search
from keras_lbreg.search.oracles.bayesian_oracle import (
    RANDOM_TRIALS,
    STARTS,
    PromisingPoints,
)
from keras_lbreg.search.oracles.make_oracle import make_oracle
from keras_lbreg.search.oracles.trial_oracle import TrialOracle


def space():
    hp = keras_tuner.HyperParameters()
    hp.Float("a", 0.0, 1.0)
    hp.Float("b", 1e-3, 1.0, sampling="log")
    return hp.get_config()["space"]


def merit(values):
    return 1 - (values["a"] - 0.7) ** 2 - np.log10(values["b"] / 0.05) ** 2 / 9


@pytest.fixture(scope="module")
def searched():
    oracle = TrialOracle(Search(tuner="bayesian"), space(), epochs=9)
    tried = []
    for _ in range(RANDOM_TRIALS + 6):
        trial, _, values = oracle.propose()
        oracle.end(trial, "COMPLETED", [merit(values)])
        tried.append(values)
    return oracle, tried


def test_it_finds_the_place_where_chance_does_not(searched):
    _, tried = searched
    merits = [merit(values) for values in tried]
    assert max(merits[RANDOM_TRIALS:]) > max(merits[:RANDOM_TRIALS])
    assert max(merits) > 0.98


def test_the_hooks_are_those_of_the_oracle(searched):
    """Its state has these names, and its starts come from `uniform`."""
    oracle, _ = searched
    inner = oracle._oracle
    assert isinstance(inner._random_state, PromisingPoints)
    plain = make_oracle(Search(tuner="bayesian"), space(), epochs=9)
    assert isinstance(plain._random_state, np.random.RandomState)
    assert isinstance(plain._seed_state, int)
    x, y = inner._vectorize_trials()
    assert x.shape == (RANDOM_TRIALS + 6, 2)
    # It minimizes.
    assert np.all(y < 0)
    points = inner._random_state.uniform([0, 0], [1, 1], size=(50, 2))
    assert points.shape == (STARTS, 2)


def test_its_starts_are_the_best_of_many(searched):
    oracle, _ = searched
    inner = oracle._oracle
    points = PromisingPoints(inner, 3).uniform([0, 0], [1, 1], size=(50, 2))
    mean, std = inner.gpr.predict(points, return_std=True)
    others = np.random.default_rng(0).uniform(size=(50, 2))
    mean_, std_ = inner.gpr.predict(others, return_std=True)
    best_of_others = (mean_ - inner.beta * std_).min()
    assert (mean - inner.beta * std).max() <= best_of_others


def test_a_replay_computes_nothing(searched):
    _, tried = searched
    events = []
    for number, values in enumerate(tried):
        trial = {"trial": f"{number:03}"}
        events += [
            {"event": "trial_created", **trial, "values": values},
            {
                "event": "execution_ended",
                **trial,
                "val_accuracy": merit(values),
            },
            {"event": "trial_ended", **trial, "status": "COMPLETED"},
        ]
    again = TrialOracle(Search(tuner="bayesian"), space(), epochs=9)
    again.replay(events)
    # Its process has not been fitted, and needs not be.
    assert not hasattr(again._oracle.gpr, "X_train_")
    oracle, _ = searched
    assert again.propose() == oracle.propose()
