import gc
import json
import pathlib
import sys
import weakref

import keras
import keras_tuner
import numpy as np
import pytest
from keras_tuner.errors import FatalValueError

import keras_lbreg as lbreg
from keras_lbreg.tuning import LargeBatchHyperModel, read_trials
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


def ghosts(*sizes):
    return {"ghost_batch_norm": {"ghost_batch_size": sizes}}


def make_workload(build_model=small_network, regime=REGIME):
    return lbreg.Workload(
        build_model, TRAINING, VALIDATION, regime, batch_size=16
    )


def make_hypermodel(workload=None, **arguments):
    techniques = ["lr_scaling", "ghost_batch_norm"]
    return LargeBatchHyperModel(
        workload or make_workload(), **{"techniques": techniques, **arguments}
    )


def make_tuner(hypermodel, folder, kind="RandomSearch", **arguments):
    return getattr(keras_tuner, kind)(
        hypermodel,
        "val_accuracy",
        directory=folder,
        **{"seed": 1, **ENGINES[kind], **arguments},
    )


def search(tuner, **arguments):
    tuner.search(verbose=0, **arguments)
    return list(tuner.oracle.trials.values())


def accuracy(model):
    x, y = VALIDATION
    return np.mean(model.predict(x, verbose=0).argmax(-1) == y)


def check_score(hypermodel, model, score):
    plain = hypermodel.export(model)
    assert {type(x).__module__.split(".")[0] for x in plain.layers} == {"keras"}
    np.testing.assert_allclose(accuracy(plain), score, rtol=1e-6)


def outcome(trials):
    return [(t.hyperparameters.values, t.metrics.get_config()) for t in trials]


@pytest.mark.parametrize("kind", ENGINES)
def test_every_engine_searches(kind, tmp_path):
    hypermodel = make_hypermodel()
    tuner = make_tuner(hypermodel, tmp_path, kind)
    trials = search(tuner)
    assert {trial.status for trial in trials} == {"COMPLETED"}
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
        check_score(hypermodel, model, trial.score)


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
    found = read_trials(tuner.project_dir, "val_accuracy")
    for trial, record in zip(trials, found, strict=True):
        assert (record.stat.n, record.status) == (2, "completed")
        np.testing.assert_allclose(record.stat.mean, trial.score)
    assert any(record.stat.std > 0 for record in found)
    # The best execution is the one that is kept.
    [best] = tuner.oracle.get_best_trials()
    folder = pathlib.Path(tuner.get_trial_dir(best.trial_id))
    records = [
        json.loads(path.read_text().splitlines()[-1])
        for path in sorted(folder.glob("runs/*/seed-*/epochs.jsonl"))
    ]
    assert [record["seed"] for record in records] == [7, 8]
    expected = max(record["objective"] for record in records)
    model = tuner.get_best_models()[0]
    check_score(tuner.hypermodel, model, expected)
    # As another process would reload it.
    again = make()
    again.get_best_models()
    again.results_summary()
    again.search_space_summary()


def test_the_same_search_has_the_same_outcome(tmp_path):
    """Whatever was drawn or built before, in one process."""
    techniques = ["gradient_mix", "gradient_noise", "dreg"]
    hypermodel = make_hypermodel(techniques=techniques)
    first = search(make_tuner(hypermodel, tmp_path / "first"))
    keras.utils.set_random_seed(1)
    small_network()
    second = search(make_tuner(hypermodel, tmp_path / "second"))
    assert outcome(first) == outcome(second)
    again = make_tuner(hypermodel, tmp_path / "first")
    [best] = again.get_best_hyperparameters()
    assert hypermodel.build(best).compiled


def nameless():
    return small_network(named=False)


def arrays():
    x, y = TRAINING
    return {"x": x, "y": y, "sample_weight": np.ones(32)}, VALIDATION


def datasets():
    from tensorflow.data import Dataset

    train, validation = map(Dataset.from_tensor_slices, (TRAINING, VALIDATION))
    return {"x": train.batch(8)}, validation.batch(50)


@pytest.mark.parametrize(
    "make_data",
    [arrays, pytest.param(datasets, marks=pytest.mark.tensorflow)],
)
def test_data_of_the_search(make_data, tmp_path):
    """A function and a regime; other models were built before."""

    def make():
        nameless()
        hypermodel = make_hypermodel(
            nameless,
            batch_sizes=16,
            regime=REGIME,
            techniques=[],
            always=["gradient_mix", "dreg"],
        )
        return make_tuner(hypermodel, tmp_path, max_trials=1)

    data, validation = make_data()
    tuner = make()
    [trial] = search(tuner, validation_data=validation, **data)
    assert trial.status == "COMPLETED", trial.message
    check_score(tuner.hypermodel, tuner.get_best_models()[0], trial.score)
    # As in a process that has not searched.
    assert int(make().get_best_models()[0].optimizer.iterations) == 4


@pytest.mark.tensorflow
def test_several_devices(tmp_path):
    hypermodel = make_hypermodel(
        make_workload(lambda: small_network(run_eagerly=False)),
        techniques=[],
        always=["ghost_batch_norm", "gradient_mix"],
        ranges={**ghosts(4), "gradient_mix": {"groups": 2}},
        strategy="mirrored",
        devices=2,
    )
    tuner = make_tuner(hypermodel, tmp_path, max_trials=1)
    [trial] = search(tuner)
    assert trial.status == "COMPLETED", trial.message
    model = tuner.get_best_models()[0]
    assert isinstance(model.optimizer, lbreg.GradientMix)
    check_score(hypermodel, model, trial.score)


def test_the_policy_outlives_the_tuners_clean_up():
    keras.config.set_dtype_policy("mixed_bfloat16")
    hypermodel = make_hypermodel()
    # As a tuner does before every execution.
    keras.backend.clear_session()
    assert keras.config.dtype_policy().name == "float32"
    assert build(hypermodel)[1].dtype_policy.name == "mixed_bfloat16"


def diverging(hp):
    """The first of two trials diverges: `hp` is the user's own, too."""
    weight = 1e30 if hp.Boolean("poison", default=True) else 1.0
    return small_network(loss_weights=[weight])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"workload": make_workload(diverging)}, "loss became nan in epoch 1"),
        (
            {"always": ["ghost_batch_norm"], "ranges": ghosts(32, 8)},
            "ghost_batch_size is 32, of 16",
        ),
    ],
)
def test_a_failed_trial_says_why_and_the_search_goes_on(
    arguments, message, tmp_path
):
    hypermodel = make_hypermodel(
        techniques=[], learning_rate_factor=None, **arguments
    )
    failed, completed = search(make_tuner(hypermodel, tmp_path, "GridSearch"))
    assert (failed.status, completed.status) == ("FAILED", "COMPLETED")
    assert message in failed.message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 3}, "'epochs': 3"),
        ({"x": None}, "None in place of x"),
        ({"validation_data": None}, "`validation_data`"),
        ({"validation_data": (VALIDATION[0], TRAINING[1])}, "as many inputs"),
        ({"validation_data": (VALIDATION[0][:, :2], VALIDATION[1])}, "Keras"),
        (dict(zip("xy", small_data(8), strict=True)), "training samples, 8"),
    ],
)
def test_mistakes_of_the_call_end_the_search(arguments, message, tmp_path):
    hypermodel = make_hypermodel(small_network, batch_sizes=16, regime=REGIME)
    tuner = make_tuner(hypermodel, tmp_path)
    data = dict(zip("xy", TRAINING, strict=True))
    data = {**data, "validation_data": VALIDATION, **arguments}
    with pytest.raises(FatalValueError, match=f"(?s){message}"):
        search(tuner, **data)
    assert len(tuner.oracle.trials) == 1


def test_what_the_tuner_must_not_have(tmp_path):
    hypermodel = make_hypermodel()
    for kind, arguments in (
        ("RandomSearch", {"optimizer": "adam"}),
        ("Hyperband", {"max_epochs": 9}),
    ):
        [name] = arguments
        tuner = make_tuner(hypermodel, tmp_path / name, kind, **arguments)
        with pytest.raises(FatalValueError, match=f"Received: .*{name}"):
            search(tuner)
    tuner = make_tuner(hypermodel, tmp_path)
    with pytest.raises(FatalValueError, match="Expected no data in `search`"):
        search(tuner, x=TRAINING[0])


def shapeless():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"workload": small_network}, "`regime`.*Regime"),
        ({"workload": shapeless, "regime": REGIME}, "Add `keras.Input`"),
        ({"batch_sizes": 33}, "training samples, 32"),
        ({"batch_sizes": [16, 4]}, "more than the small batch size, 4"),
        ({"ranges": {"dreg": {"layer": ["conv", "cove"]}}}, "cove"),
        ({"ranges": ghosts(0, 8)}, "ghost_batch_size"),
        ({"ranges": {"gradient_noise": {"alpha": [1e-5, -1.0]}}}, "`alpha`"),
        ({"ranges": {"lr_scaling": {"rule": "cubic"}}}, "cubic"),
    ],
)
def test_mistakes_are_reported_at_once(arguments, message):
    arguments = {"techniques": None, "workload": make_workload(), **arguments}
    with pytest.raises(ValueError, match=f"(?s){message}"):
        LargeBatchHyperModel(**arguments)


def build(hypermodel):
    hp = keras_tuner.HyperParameters()
    hypermodel.declare_hyperparameters(hp)
    return hp, hypermodel.build(hp)


def test_models_can_be_forgotten():
    hypermodel = make_hypermodel()
    model = weakref.ref(build(hypermodel)[1])
    keras.backend.clear_session()
    gc.collect()
    assert model() is None
    with pytest.raises(ValueError, match="Expected a model that `build`"):
        hypermodel.export(small_network())


def test_a_fit_without_a_tuner_trains_the_model_given():
    hypermodel = make_hypermodel(techniques=[])
    hp, model = build(hypermodel)
    metrics = hypermodel.fit(hp, model)
    check_score(hypermodel, model, metrics["val_accuracy"])


def test_an_interrupted_trial_goes_on(tmp_path):
    """What an execution has recorded is not trained again."""
    epochs = []
    workload = make_workload(regime=lbreg.Regime(4, 0.1, epochs=4))

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            epochs.append(epoch)
            # A callback of the user's sees them in every epoch.
            assert {"loss", "val_loss", "val_accuracy"} <= set(logs)
            if len(epochs) in (2, 5, 7):
                raise KeyboardInterrupt

    def make(folder):
        hypermodel = make_hypermodel(workload, techniques=[])
        arguments = {"max_trials": 1, "executions_per_trial": 2}
        return make_tuner(hypermodel, folder, **arguments)

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            search(make(tmp_path), callbacks=[Interrupt()])
    tuner = make(tmp_path)
    [trial] = search(tuner, callbacks=[Interrupt()])
    # An epoch that was interrupted before its backup is trained again.
    assert epochs == [0, 1, 1, 2, 3, 3, 0, 0, 1, 2, 3]
    whole = make(tmp_path / "whole")
    [expected] = search(whole, callbacks=[Interrupt()])
    assert trial.score == expected.score
    own, other = (x.get_best_models()[0].get_weights() for x in (tuner, whole))
    for mine, expected in zip(own, other, strict=True):
        np.testing.assert_array_equal(mine, expected)


def test_records_of_another_trial_of_this_name_do_not_count(tmp_path):
    for rule in ("linear", "sqrt"):
        ranges = {"lr_scaling": {"rule": rule, "warmup_epochs": 0}}
        hypermodel = make_hypermodel(always=["lr_scaling"], ranges=ranges)
        tuner = make_tuner(hypermodel, tmp_path, max_trials=1)
        [trial] = search(tuner)
        [record] = read_trials(tuner.project_dir, "val_accuracy")
        assert (record.stat.mean, record.stat.n) == (trial.score, 1)
        # KerasTuner may give a lost trial's number to another one.
        pathlib.Path(tuner.project_dir, "tuner0.json").unlink()


def test_without_keras_tuner(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_tuner", None)
    with pytest.raises(ImportError, match=r"pip install \"keras-lbreg\[tune\]"):
        lbreg.tuning.__getattr__("tune")
