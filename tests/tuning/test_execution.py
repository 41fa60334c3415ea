import keras
import numpy as np
import pytest
from keras_tuner.errors import FatalValueError

import keras_lbreg as lbreg
from keras_lbreg.tuning import Configuration
from keras_lbreg.tuning.execution import Execution
from keras_lbreg.tuning.fit_data import ArrayData
from keras_lbreg.tuning.validation_data import ValidationData
from tests.checks.replicas import mirrored_strategy
from tests.tuning.small_network import small_data, small_network

REGIME = lbreg.Regime(4, 0.1, epochs=4, milestones={2: 0.02})
EVERYTHING = Configuration(
    16,
    {
        "lr_scaling": {"rule": "sqrt", "warmup_epochs": 1},
        "ghost_batch_norm": {"ghost_batch_size": 4},
        "gradient_noise": {"alpha": 1e-3},
        "dreg": {"layer": "conv", "weight": 0.1},
        "gradient_mix": {"groups": 4},
    },
    0.5,
)


class Rates(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_begin(self, batch, logs=None):
        self.seen.append(float(self.model.optimizer.learning_rate))


def make(configuration, network=small_network, **arguments):
    execution = Execution(configuration, REGIME, seed=3, **arguments)
    keras.utils.set_random_seed(3)
    return execution, execution.build(network())


def data_and_validation(replicas=1):
    x, y = small_data(32)
    return ArrayData(x, y), ValidationData(
        small_data(20, seed=1), rank=4, replicas=replicas
    )


@pytest.fixture(scope="module")
def trained():
    """Everything at once, for the whole regime."""
    execution, model = make(EVERYTHING)
    data, validation = data_and_validation()
    rates = Rates()
    history = execution.fit(model, data, validation, callbacks=[rates])
    return execution, model, history, rates, data, validation


def test_the_regime_is_the_techniques_and_the_factors(trained):
    execution, _, history, rates, *_ = trained
    scaled = REGIME.scaled(16, "sqrt", warmup_epochs=1, verbose=False)
    assert len(history.epoch) == 4
    schedule = scaled.to_schedule(steps_per_epoch=2)
    expected = [0.5 * float(schedule(step)) for step in range(8)]
    np.testing.assert_allclose(rates.seen, expected, rtol=1e-6)
    assert "learning rate 0.2 -> 0.1 (x0.5)" in execution.regime.summary()


def test_techniques_changed_model_and_optimizer(trained):
    _, model, *_ = trained
    assert isinstance(model, lbreg.DRegModel)
    assert isinstance(model.optimizer, lbreg.GradientNoise)
    assert model.optimizer.inner_optimizer.momentum == 0.9
    assert int(model.optimizer.iterations) == 8


def test_score_is_that_of_the_exported_plain_network(trained):
    execution, model, _, _, _, validation = trained
    plain = execution.export(model)
    names = [type(layer).__module__.split(".")[0] for layer in plain.layers]
    assert set(names) == {"keras"}
    assert type(plain) is keras.Sequential
    assert type(plain.optimizer) is keras.optimizers.SGD
    np.testing.assert_allclose(float(plain.optimizer.learning_rate), 0.1)
    x, y = validation.values
    np.testing.assert_allclose(
        plain.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6
    )
    # As somebody would compute it who knows nothing of all this.
    scores = plain.predict(x, verbose=0).astype("float64")
    shares = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    loss = -np.log(shares[np.arange(len(y)), y]).mean()
    metrics = execution.evaluate(model, validation)
    assert metrics.keys() == {"val_loss", "val_accuracy"}
    np.testing.assert_allclose(metrics["val_loss"], loss, rtol=1e-5)
    accuracy = np.mean(scores.argmax(-1) == y)
    np.testing.assert_allclose(metrics["val_accuracy"], accuracy, rtol=1e-6)


def test_the_exported_network_can_be_saved_and_loaded(trained, tmp_path):
    execution, model, _, _, _, validation = trained
    plain = execution.export(model)
    plain.save(tmp_path / "plain.keras")
    loaded = keras.saving.load_model(tmp_path / "plain.keras")
    x, y = validation.values
    np.testing.assert_allclose(
        loaded.evaluate(x, y, verbose=0),
        plain.evaluate(x, y, verbose=0),
        rtol=1e-6,
    )


def test_path_was_selected_by_the_validation_data(trained):
    _, model, history, *_ = trained
    path = model.active_path
    for name in ("accuracy", "loss"):
        of_path = history.history[f"val_{name}_{path}"][-1]
        np.testing.assert_allclose(
            history.history[f"val_{name}"][-1], of_path, rtol=1e-5
        )


def test_a_training_in_parts_goes_the_same_way(trained, tmp_path):
    _, whole, _, _, data, validation = trained
    file = tmp_path / "part.weights.h5"
    for part in ((0, 0.25), (0.25, 1)):
        execution, model = make(EVERYTHING)
        if part[0]:
            model.load_weights(file)
            assert int(model.optimizer.iterations) == 2
        history = execution.fit(model, data, validation, part)
        model.save_weights(file)
    assert history.epoch == [1, 2, 3]
    for own, expected in zip(model.variables, whole.variables, strict=True):
        if "seed_generator" not in own.path:
            np.testing.assert_array_equal(own, expected, err_msg=own.path)


@pytest.mark.parametrize(
    ("fraction", "epoch"), [(0, 0), (1 / 9, 1), (1 / 3, 1), (0.5, 2), (1, 4)]
)
def test_a_part_ends_where_the_next_begins(fraction, epoch):
    execution = Execution(Configuration(16, {}), REGIME, seed=0)
    assert execution.epochs_at(fraction) == epoch


def test_regime_adaptation_trains_longer():
    execution = Execution(
        Configuration(16, {"regime_adaptation": {}}), REGIME, seed=0
    )
    assert execution.regime.epochs == 16
    assert execution.epochs_at(0.5) == 8


def squared(y, y_pred):
    one_hot = keras.ops.one_hot(keras.ops.cast(y, "int32"), 3)
    return keras.ops.mean((one_hot - y_pred) ** 2, axis=-1)


def test_python_functions_and_options_are_compiled_as_they_are():
    def network():
        return small_network(
            optimizer="adam",
            loss=lambda y, y_pred: squared(y, y_pred),
            metrics=[squared],
            steps_per_execution=5,
            run_eagerly=False,
        )

    execution, model = make(
        Configuration(8, {"ghost_batch_norm": {"ghost_batch_size": 4}}),
        network,
    )
    data, validation = data_and_validation()
    execution.fit(model, data, validation, part=(0, 0.25))
    # Four steps in an epoch.
    assert model.steps_per_execution == 4
    metrics = execution.evaluate(model, validation)
    assert metrics.keys() == {"val_loss", "val_squared"}
    np.testing.assert_allclose(
        metrics["val_loss"], metrics["val_squared"], rtol=1e-6
    )
    assert type(execution.export(model).optimizer) is keras.optimizers.Adam


def test_an_optimizer_that_is_used_for_all_models_is_copied():
    shared = keras.optimizers.SGD(0.1, momentum=0.5, global_clipnorm=1.0)
    data, validation = data_and_validation()
    for _ in range(2):
        execution, model = make(
            Configuration(16, {}), lambda: small_network(optimizer=shared)
        )
        execution.fit(model, data, validation, part=(0, 0.25))
        assert model.optimizer is not shared
        assert model.optimizer.global_clipnorm == 1.0
    assert not shared.built


def test_without_techniques_it_is_the_users_own_training():
    data, validation = data_and_validation()
    execution, model = make(Configuration(16, {}))
    execution.fit(model, data, validation, part=(0, 0.5))
    keras.utils.set_random_seed(3)
    plain = small_network()
    x, y = data.arrays
    for epoch in range(2):
        order = np.random.default_rng([3, epoch]).permutation(32)
        for chosen in (order[:16], order[16:]):
            plain.train_on_batch(x[chosen], y[chosen])
    for own, expected in zip(model.weights, plain.weights, strict=True):
        np.testing.assert_allclose(own, expected, atol=1e-6)
    assert execution.export(model) is not model


def test_an_optimizer_of_the_tuner_is_refused():
    execution, model = make(EVERYTHING)
    model.compile("sgd", model.loss)
    with pytest.raises(FatalValueError, match=r"of the tuner.*Received: SGD"):
        execution.fit(model, *data_and_validation())


@pytest.mark.tensorflow
def test_two_replicas_train_as_one_device():
    import tensorflow as tf

    def network():
        model = keras.Sequential(
            [
                keras.Input((4, 4, 1)),
                keras.layers.Conv2D(2, 3, name="conv"),
                keras.layers.Flatten(),
                keras.layers.Dense(3),
            ]
        )
        model.compile(
            keras.optimizers.SGD(0.1, global_clipnorm=0.01),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        return model

    configuration = Configuration(
        16,
        {
            "dreg": {"layer": "conv"},
            "gradient_mix": {"groups": 2},
            "gradient_noise": {},
        },
    )
    results = []
    for replicas in (1, 2):
        strategy = (
            mirrored_strategy(2)
            if replicas == 2
            else tf.distribute.get_strategy()
        )
        with strategy.scope():
            execution, model = make(configuration, network, replicas=replicas)
        data, validation = data_and_validation(replicas)
        execution.fit(model, data, validation, part=(0, 0.5))
        metrics = execution.evaluate(model, validation)
        results.append((model.get_weights(), metrics))
    (one, one_metrics), (two, two_metrics) = results
    for own, expected in zip(two, one, strict=True):
        np.testing.assert_allclose(own, expected, atol=1e-5)
    for name, value in one_metrics.items():
        np.testing.assert_allclose(two_metrics[name], value, rtol=1e-4)
