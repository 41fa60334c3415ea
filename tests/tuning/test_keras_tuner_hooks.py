"""Contract with the private parts of its tuners, on KerasTuner 1.4."""

import keras
import keras_tuner

from keras_lbreg.tuning.keras_tuner_hooks import tell_apart


class Spy(keras_tuner.HyperModel):
    """Keeps the callbacks that a tuner gives."""

    def build(self, hp):
        model = keras.Sequential(
            [keras.Input((2,)), keras.layers.Dense(hp.Int("n", 1, 5))]
        )
        model.compile("sgd", "mse")
        return model

    def fit(self, hp, model, *args, callbacks, **kwargs):
        self.callbacks = callbacks
        for callback in tell_apart(callbacks).saving:
            callback.set_model(model)
            callback.on_epoch_end(0, {"score": 1.0})
        return {"score": 1.0}


def test_tuner_and_trial_are_known(tmp_path):
    spy = Spy()
    tuner = keras_tuner.RandomSearch(
        spy,
        keras_tuner.Objective("score", "max"),
        max_trials=1,
        directory=tmp_path,
    )
    own = keras.callbacks.EarlyStopping()
    tuner.search(callbacks=[own], verbose=0)
    found = tell_apart(spy.callbacks)
    assert found.tuner is tuner
    assert [found.trial.trial_id] == list(tuner.oracle.trials)
    assert found.folder == tmp_path / "untitled_project" / "trial_0"
    assert found.max_epochs is None
    # The user's callback (a copy), and the one that reports progress.
    assert [type(x).__name__ for x in found.others] == [
        "EarlyStopping",
        "TunerCallback",
    ]
    # Called by hand, it has saved what `get_best_models` loads.
    assert [x.name for x in found.folder.glob("*.h5")] == [
        "checkpoint.weights.h5"
    ]


def test_hyperbands_longest_trial_is_known_on_every_machine(tmp_path):
    oracle = keras_tuner.oracles.HyperbandOracle(
        keras_tuner.Objective("score", "max"), max_epochs=9
    )
    tuner = keras_tuner.Tuner(oracle, Spy(), directory=tmp_path)
    from keras_tuner.src.engine.tuner_utils import TunerCallback

    callbacks = [TunerCallback(tuner, trial=None)]
    assert tell_apart(callbacks).max_epochs == 9

    class Client:
        """As KerasTuner's `OracleClient` stands for the chief's oracle."""

        def __init__(self, oracle):
            self._oracle = oracle

    tuner.oracle = Client(oracle)
    assert tell_apart(callbacks).max_epochs == 9


def test_without_a_tuner_nothing_is_known():
    own = keras.callbacks.EarlyStopping()
    found = tell_apart([own])
    assert found.others == [own]
    assert (found.saving, found.tuner, found.folder) == ([], None, None)
    assert found.max_epochs is None
