import gc
import os
import subprocess
import sys
import weakref

import keras
import keras_tuner
import numpy as np
import pytest
from keras_tuner.errors import FatalValueError

import keras_lbreg as lbreg
from keras_lbreg.tuning import LargeBatchHyperModel, trial_statistics
from keras_lbreg.tuning.report import read_executions
from tests.checks.replicas import mirrored_strategy
from tests.tuning.small_network import small_data, small_network

TRAINING = small_data(32)
VALIDATION = small_data(100, seed=1)
REGIME = lbreg.Regime(4, 0.1, epochs=2)
ENGINES = {
    "RandomSearch": {"max_trials": 2},
    # The second trial is proposed by the model of the first.
    "BayesianOptimization": {"max_trials": 2, "num_initial_points": 1},
    "GridSearch": {"max_trials": 2},
    "Hyperband": {"max_epochs": 2, "factor": 2},
}


@pytest.fixture(autouse=True)
def quick_garbage_collection():
    """Tuners collect garbage before every execution: pytest's, too."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def make_hypermodel(build_model=small_network, **arguments):
    arguments = {
        "batch_sizes": [16],
        "techniques": ["lr_scaling", "ghost_batch_norm"],
        "regime": REGIME,
        **arguments,
    }
    return LargeBatchHyperModel(build_model, **arguments)


def make_tuner(hypermodel, folder, kind="RandomSearch", **arguments):
    return getattr(keras_tuner, kind)(
        hypermodel,
        "val_accuracy",
        directory=folder,
        **{"seed": 1, **ENGINES[kind], **arguments},
    )


def search(tuner, *data, **arguments):
    data = data or TRAINING
    given = {"validation_data": VALIDATION, "verbose": 0, **arguments}
    tuner.search(*data, **given)
    return list(tuner.oracle.trials.values())


def accuracy(model):
    x, y = VALIDATION
    return np.mean(model.predict(x, verbose=0).argmax(-1) == y)


@pytest.mark.parametrize("kind", ENGINES)
def test_every_engine_searches(kind, tmp_path):
    hypermodel = make_hypermodel()
    tuner = make_tuner(hypermodel, tmp_path, kind)
    trials = search(tuner)
    assert {trial.status for trial in trials} == {"COMPLETED"}
    assert len(trials) >= 2
    for trial in trials:
        values = trial.hyperparameters.values
        assert ("lr_scaling.rule" in values) == values["lr_scaling"]
        assert trial.metrics.exists("val_loss")
        assert trial.metrics.exists("loss")
    continued = [
        trial
        for trial in trials
        if "tuner/trial_id" in trial.hyperparameters.values
    ]
    assert bool(continued) == (kind == "Hyperband")
    # The last weights are kept, with the optimizer's, and were scored; with
    # normalization statistics estimated anew.
    for trial in [*continued, tuner.oracle.get_best_trials()[0]]:
        model = tuner.load_model(trial)
        epochs = trial.hyperparameters.values.get("tuner/epochs", 2)
        assert int(model.optimizer.iterations) == 2 * epochs
        np.testing.assert_allclose(
            accuracy(hypermodel.export(model)), trial.score, rtol=1e-6
        )


def test_executions_have_their_own_seeds_and_are_recorded(tmp_path):
    def make():
        hypermodel = make_hypermodel(
            techniques=[],
            always=["ghost_batch_norm", "dreg"],
            ranges={"dreg": {"layer": ["conv"]}},
            seed=7,
        )
        return make_tuner(hypermodel, tmp_path, executions_per_trial=2)

    tuner = make()
    trials = search(tuner)
    found = trial_statistics(tuner)
    assert [stat.mean for _, stat in found] == sorted(
        (trial.score for trial in trials), reverse=True
    )
    for trial_id, stat in found:
        trial = tuner.oracle.trials[trial_id]
        executions = read_executions(tuner.get_trial_dir(trial_id))
        assert tuple(executions) == (7, 8)
        values = [x["val_accuracy"] for x in executions.values()]
        np.testing.assert_allclose(np.mean(values), trial.score)
        np.testing.assert_allclose(stat.std, np.std(values, ddof=1))
    assert any(stat.std > 0 for _, stat in found)
    # The best execution is the one that is kept.
    plain = tuner.hypermodel.export(tuner.get_best_models()[0])
    assert {type(x).__module__.split(".")[0] for x in plain.layers} == {"keras"}
    best = read_executions(tuner.get_trial_dir(found[0][0])).values()
    expected = max(x["val_accuracy"] for x in best)
    np.testing.assert_allclose(accuracy(plain), expected, rtol=1e-6)
    # As another process would reload it.
    again = make()
    assert trial_statistics(again) == found
    again.get_best_models()
    again.results_summary()
    again.search_space_summary()


def test_the_same_search_has_the_same_outcome(tmp_path):
    outcomes = []
    for name in ("first", "second"):
        # What was drawn before makes no difference.
        keras.utils.set_random_seed(len(outcomes))
        tuner = make_tuner(
            make_hypermodel(techniques=["gradient_mix", "gradient_noise"]),
            tmp_path / name,
        )
        trials = search(tuner)
        outcomes.append(
            [
                (trial.hyperparameters.values, trial.metrics.get_config())
                for trial in trials
            ]
        )
    assert outcomes[0] == outcomes[1]


def test_the_policy_outlives_the_tuners_clean_up():
    keras.config.set_dtype_policy("mixed_bfloat16")
    hypermodel = make_hypermodel()
    hp = keras_tuner.HyperParameters()
    hypermodel.declare_hyperparameters(hp)
    # As a tuner does before every execution.
    keras.backend.clear_session()
    assert keras.config.dtype_policy().name == "float32"
    assert hypermodel.build(hp).dtype_policy.name == "mixed_bfloat16"


def diverging(hp):
    """Half of the trials diverge: `hp` is the user's own, too."""
    poison = 1e30 if hp.Boolean("poison", default=True) else 1.0
    return small_network(
        loss=lambda y, y_pred: (
            poison
            * keras.losses.sparse_categorical_crossentropy(
                y, y_pred, from_logits=True
            )
        )
    )


def test_a_trial_that_diverges_fails_and_the_search_goes_on(tmp_path):
    hypermodel = make_hypermodel(
        diverging, techniques=[], ranges=None, learning_rate_factor=None
    )
    tuner = make_tuner(hypermodel, tmp_path, "GridSearch")
    failed, completed = search(tuner)
    assert (failed.status, completed.status) == ("FAILED", "COMPLETED")
    assert failed.hyperparameters.get("poison")
    assert "the loss became nan in epoch 1" in failed.message
    assert [x for x, _ in trial_statistics(tuner)] == [completed.trial_id]


def test_settings_that_exclude_each_other_fail(tmp_path):
    hypermodel = make_hypermodel(
        techniques=[],
        always=["ghost_batch_norm"],
        ranges={"ghost_batch_norm": {"ghost_batch_size": [32, 8]}},
        learning_rate_factor=None,
    )
    tuner = make_tuner(hypermodel, tmp_path, "GridSearch")
    failed, completed = search(tuner)
    assert (failed.status, completed.status) == ("FAILED", "COMPLETED")
    assert "a ghost of 32 is larger than a replica's batch" in failed.message


class Epochs(keras.callbacks.Callback):
    """A callback of the user's; tuners copy it."""

    logs = []  # noqa: RUF012

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append((epoch, sorted(logs)))


def test_callbacks_splits_and_weights(tmp_path):
    tuner = make_tuner(
        make_hypermodel(techniques=["dreg"]), tmp_path, max_trials=1
    )
    Epochs.logs.clear()
    [trial] = search(
        tuner,
        *TRAINING,
        sample_weight=np.ones(32),
        validation_data=None,
        validation_split=0.5,
        callbacks=[Epochs()],
    )
    assert [epoch for epoch, _ in Epochs.logs] == [0, 1]
    assert {"loss", "val_accuracy", "val_loss"} <= set(Epochs.logs[0][1])
    # A batch of 16 of the 16 samples that are left.
    assert int(tuner.load_model(trial).optimizer.iterations) == 2


@pytest.mark.tensorflow
def test_tf_datasets(tmp_path):
    import tensorflow as tf

    tuner = make_tuner(
        make_hypermodel(techniques=[], always=["gradient_mix", "dreg"]),
        tmp_path,
        max_trials=1,
    )
    train = tf.data.Dataset.from_tensor_slices(TRAINING).batch(8)
    val = tf.data.Dataset.from_tensor_slices(VALIDATION).batch(50)
    trials = search(tuner, train, validation_data=val)
    assert {trial.status for trial in trials} == {"COMPLETED"}


@pytest.mark.tensorflow
def test_a_strategy_of_the_tuner(tmp_path):
    hypermodel = make_hypermodel(
        lambda: small_network(run_eagerly=False),
        techniques=[],
        always=["ghost_batch_norm", "gradient_mix"],
        ranges={
            "ghost_batch_norm": {"ghost_batch_size": 4},
            "gradient_mix": {"groups": 2},
        },
        replicas=2,
    )
    tuner = make_tuner(
        hypermodel,
        tmp_path,
        max_trials=1,
        distribution_strategy=mirrored_strategy(2),
    )
    [trial] = search(tuner)
    assert trial.status == "COMPLETED", trial.message
    model = tuner.get_best_models()[0]
    assert isinstance(model.optimizer, lbreg.GradientMix)
    np.testing.assert_allclose(
        accuracy(hypermodel.export(model)), trial.score, rtol=1e-6
    )
    hypermodel = make_hypermodel(techniques=[])
    with pytest.raises(FatalValueError, match=r"the 2 of the tuner's"):
        search(
            make_tuner(
                hypermodel,
                tmp_path / "other",
                max_trials=1,
                distribution_strategy=tuner.distribution_strategy,
            )
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 3}, r"part of a trial.*\['epochs'\]"),
        ({"batch_size": 3}, r"\['batch_size'\]"),
        ({"validation_data": None}, "needs validation data"),
        ({"validation_data": (VALIDATION[0], TRAINING[1])}, "as many inputs"),
        ({"validation_data": (VALIDATION[0][:, :2], VALIDATION[1])}, "Keras"),
    ],
)
def test_mistakes_of_the_call_end_the_search(arguments, message, tmp_path):
    tuner = make_tuner(make_hypermodel(), tmp_path)
    with pytest.raises(FatalValueError, match=f"(?s){message}"):
        search(tuner, **arguments)


def test_batches_larger_than_the_data_end_the_search(tmp_path):
    tuner = make_tuner(make_hypermodel(batch_sizes=[16, 64]), tmp_path)
    with pytest.raises(FatalValueError, match="64 is more than the 32 samples"):
        search(tuner)
    assert len(tuner.oracle.trials) == 1


def uncompiled():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


def shapeless():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"build_model": uncompiled}, "not compiled"),
        ({"build_model": shapeless}, "Add `keras.Input`"),
        ({"ranges": {"dreg": {"layer": ["cove"]}}}, "cove"),
        (
            {"ranges": {"ghost_batch_norm": {"ghost_batch_size": 0}}},
            "ghost_batch_size",
        ),
    ],
)
def test_mistakes_of_the_space_are_reported_when_the_tuner_is_made(
    arguments, message, tmp_path
):
    hypermodel = make_hypermodel(
        **{"techniques": ["dreg", "ghost_batch_norm"], **arguments}
    )
    with pytest.raises(ValueError, match=message):
        make_tuner(hypermodel, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"build_model": None}, "`build_model`"),
        ({"regime": None}, r"`regime`.*Regime\(128, 0.1, epochs=50\)"),
        ({"techniques": ["drog"]}, "Invalid technique"),
        ({"batch_sizes": []}, "`batch_sizes`"),
    ],
)
def test_mistakes_are_reported_at_once(arguments, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        make_hypermodel(**arguments)


def test_models_of_others_are_not_exported():
    with pytest.raises(ValueError, match="Expected a model that `build`"):
        make_hypermodel().export(small_network())


def test_models_can_be_forgotten():
    hypermodel = make_hypermodel()
    hp = keras_tuner.HyperParameters()
    hypermodel.declare_hyperparameters(hp)
    model = weakref.ref(hypermodel.build(hp))
    keras.backend.clear_session()
    gc.collect()
    assert model() is None


def test_a_workload_has_its_own_data(tmp_path):
    workload = lbreg.Workload(
        small_network, TRAINING, VALIDATION, REGIME, batch_size=16
    )
    hypermodel = LargeBatchHyperModel(workload, techniques=["dreg"])
    tuner = make_tuner(hypermodel, tmp_path)
    tuner.search(verbose=0)
    assert len(trial_statistics(tuner)) == 2
    # A second search in the same process, and models built between.
    small_network()
    other = make_tuner(hypermodel, tmp_path, project_name="other")
    other.search(verbose=0)
    assert [
        trial.metrics.get_config() for trial in other.oracle.trials.values()
    ] == [trial.metrics.get_config() for trial in tuner.oracle.trials.values()]
    model = hypermodel.build(tuner.get_best_hyperparameters()[0])
    assert model.compiled
    with pytest.raises(FatalValueError, match="Expected no data in `search`"):
        search(make_tuner(hypermodel, tmp_path, project_name="third"))
    with pytest.raises(ValueError, match="since the workload has one"):
        LargeBatchHyperModel(workload, regime=REGIME)


def test_a_fit_without_a_tuner_trains_the_model_given():
    hypermodel = make_hypermodel(techniques=[])
    hp = keras_tuner.HyperParameters()
    hypermodel.declare_hyperparameters(hp)
    model = hypermodel.build(hp)
    metrics = hypermodel.fit(hp, model, *TRAINING, validation_data=VALIDATION)
    plain = hypermodel.export(model)
    np.testing.assert_allclose(
        accuracy(plain), metrics["val_accuracy"], rtol=1e-6
    )


def test_an_interrupted_trial_goes_on(tmp_path):
    """What an execution has recorded is not trained again."""
    epochs = []

    class Interrupt(keras.callbacks.Callback):
        def __init__(self, last):
            super().__init__()
            self.last = last

        def on_epoch_end(self, epoch, logs=None):
            epochs.append(epoch)
            if len(epochs) == self.last:
                raise KeyboardInterrupt

    def make():
        hypermodel = make_hypermodel(
            techniques=[], regime=lbreg.Regime(4, 0.1, epochs=4)
        )
        return make_tuner(
            hypermodel, tmp_path, max_trials=1, executions_per_trial=2
        )

    for last in (2, 5, 7):
        with pytest.raises(KeyboardInterrupt):
            search(make(), callbacks=[Interrupt(last)])
    tuner = make()
    [trial] = search(tuner, callbacks=[Interrupt(None)])
    # An epoch that was interrupted before its backup is trained again.
    assert epochs == [0, 1, 1, 2, 3, 3, 0, 0, 1, 2, 3]
    whole = make_tuner(
        make_hypermodel(techniques=[], regime=lbreg.Regime(4, 0.1, epochs=4)),
        tmp_path / "whole",
        max_trials=1,
        executions_per_trial=2,
    )
    [expected] = search(whole, callbacks=[Interrupt(None)])
    assert trial.score == expected.score
    for own, other in zip(
        tuner.get_best_models()[0].get_weights(),
        whole.get_best_models()[0].get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(own, other)


def test_keras_tuner_is_imported_when_it_is_needed():
    code = """
import sys
import keras_lbreg
import keras_lbreg.tuning.report
assert "keras_tuner" not in sys.modules
sys.modules["keras_tuner"] = None
try:
    keras_lbreg.tune
except ImportError as error:
    print(error)
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert 'pip install "keras-lbreg[tune]"' in result.stdout, result.stderr
