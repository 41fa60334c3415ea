"""KerasTuner 1.4 saves oracles by the methods that `OracleInMemory` has."""

import keras_tuner
import pytest

from keras_lbreg.search.oracles.oracle_in_memory import OracleInMemory


class Unsaved(OracleInMemory, keras_tuner.oracles.RandomSearchOracle):
    pass


def make(kind):
    hp = keras_tuner.HyperParameters()
    hp.Float("x", 0.0, 1.0)
    oracle = kind(
        objective=keras_tuner.Objective("val_accuracy", "max"),
        hyperparameters=hp,
    )
    oracle.verbose = 0
    return oracle


def test_the_methods_are_still_those_that_write():
    saving = keras_tuner.Oracle
    assert callable(saving.save)
    assert callable(saving._save_trial)
    # Without our methods, an oracle that has no folder cannot even begin.
    with pytest.raises(AttributeError, match="_directory"):
        make(keras_tuner.oracles.RandomSearchOracle).create_trial("a")


def test_an_oracle_works_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    oracle = make(Unsaved)
    trial = oracle.create_trial("a")
    oracle.update_trial(trial.trial_id, {"val_accuracy": 0.5})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    assert oracle.get_best_trials(1)[0].score == 0.5
    assert list(tmp_path.iterdir()) == []
