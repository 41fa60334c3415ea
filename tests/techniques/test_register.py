import pathlib

import keras
import numpy as np
import pytest

import keras_lbreg
from keras_lbreg import Regime
from keras_lbreg.techniques import (
    TECHNIQUES,
    Context,
    check_hyperparameters,
    get,
    hooks,
    names,
    scale_regime,
)
from tests.techniques.networks import (
    convolutional,
    linear,
    two_heads,
    without_candidates,
)

CARDS = pathlib.Path(__file__).parents[2] / "docs" / "methods"
HOOKS = ("regime", "model", "optimizer", "data", "callbacks", "finalize")
CONTEXT = Context(seed=3, base_batch_size=16, batch_size=64)
SCALING = {"lr_scaling": {"rule": "sqrt", "warmup_epochs": 0}}


def test_names_are_unique_and_found_again():
    assert len(set(names())) == len(TECHNIQUES)
    assert [get(name) for name in names()] == list(TECHNIQUES)
    with pytest.raises(ValueError, match=r"'dreg'.*Received: 'drag'"):
        get("drag")


@pytest.mark.parametrize("technique", TECHNIQUES, ids=names())
def test_technique_is_complete(technique):
    assert any(getattr(technique, hook) for hook in HOOKS)
    assert technique.paper
    assert technique.helps_when
    assert (CARDS / f"{technique.card}.md").is_file()


def test_hooks_come_in_the_registers_order_with_their_settings():
    techniques = {
        "dreg": {"weight": 1.0},
        "lr_scaling": {"rule": "sqrt"},
        "ghost_batch_norm": {"ghost_batch_size": 8},
    }
    assert hooks(techniques, "model") == [
        (get("ghost_batch_norm").model, {"ghost_batch_size": 8}),
        (get("dreg").model, {"weight": 1.0}),
    ]
    assert hooks(techniques, "optimizer") == []


@pytest.mark.parametrize(
    ("hyperparameters", "message"),
    [
        ({"drag": {}}, "Invalid technique"),
        ({"dreg": 3}, "dictionary by hyperparameter"),
        ([], "dictionary by technique"),
        ({"dreg": {"weights": 1}}, r"Received: \['weights'\]"),
        ({"dreg": {"weight": "much"}}, "`dreg.weight`.*a number"),
        ({"dreg": {"layer": 1.5}}, "`dreg.layer`"),
        ({"lr_scaling": {"rule": 1}}, "`lr_scaling.rule`.*a word"),
        ({"gradient_mix": {"groups": 0}}, "`groups`"),
    ],
)
def test_settings_of_the_wrong_kind_are_refused(hyperparameters, message):
    with pytest.raises(ValueError, match=message):
        check_hyperparameters(hyperparameters)


def test_settings_of_the_right_kind():
    check_hyperparameters(
        {
            "lr_scaling": {"warmup_epochs": 0.5},
            "dreg": {"layer": -1, "max_distance": None},
        }
    )


@pytest.mark.parametrize(
    ("techniques", "factor", "rate", "epochs"),
    [
        ({}, 1.0, 0.1, 8),
        ({}, 0.5, 0.05, 8),
        (SCALING, 1.0, 0.2, 8),
        (SCALING, 3.0, 0.6, 8),
        ({**SCALING, "regime_adaptation": {}}, 1.0, 0.2, 32),
        # What says nothing about the regime leaves it as it is.
        ({"dreg": {"weight": 1.0}}, 1.0, 0.1, 8),
    ],
)
def test_scaled_rates_and_epochs(techniques, factor, rate, epochs):
    regime = Regime(16, 0.1, epochs=8, milestones={4: 0.01})
    scaled = scale_regime(regime, techniques, CONTEXT, factor)
    assert scaled.base_batch_size == 64
    assert scaled.epochs == epochs
    np.testing.assert_allclose(scaled.base_learning_rate, rate)
    [(epoch, dropped)] = scaled.milestones
    assert epoch == epochs // 2
    np.testing.assert_allclose(dropped, rate / 10)


def test_the_factor_is_said():
    regime = Regime(16, 0.1, epochs=8)
    for why, said in ((None, "x2"), ("control", "control")):
        scaled = scale_regime(regime, {}, CONTEXT, 2.0, why)
        assert scaled.changes[-1] == f"learning rate 0.1 -> 0.2 ({said})"
    assert len(scale_regime(regime, {}, CONTEXT).changes) == 1


@pytest.mark.parametrize(
    ("network", "layer"),
    [
        (convolutional, "conv"),
        (two_heads, "trunk"),
        (linear, "out"),
    ],
)
def test_dreg_doubles_the_recommended_layer(network, layer):
    dreg = get("dreg")
    assert dreg.unfit(network(), CONTEXT) == ""
    model = dreg.model(network(), dreg.hyperparameters(), CONTEXT)
    assert isinstance(model, keras_lbreg.DRegModel)
    doubled = [x.name for x in model.layers if hasattr(x, "kernel_left")]
    assert doubled == [layer]
    plain = dreg.finalize(model)
    assert type(plain.get_layer(layer)) is type(network().get_layer(layer))


def test_layers_to_search_do_not_depend_on_automatic_names():
    choices = get("dreg").search_space["layer"].choices
    assert choices(two_heads(), CONTEXT) == (-4, -3, -2, -1)
    assert choices(convolutional(), CONTEXT) == (-2, -1)


def test_split_paths_select_a_path():
    dreg = get("dreg")
    settings = dreg.hyperparameters({"paths": "split"})
    model = dreg.model(convolutional(), settings, CONTEXT)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["acc"])
    x = np.random.default_rng(0).normal(size=(8, 6, 6, 2)).astype("float32")
    y = np.arange(8) % 3
    context = Context(0, 2, 8, validation_data=(x, y))
    callbacks = dreg.callbacks(settings, context)
    logs = model.fit(x, y, batch_size=8, verbose=0, callbacks=callbacks)
    assert {"val_acc_right", "val_acc_left"} <= set(logs.history)


@keras.saving.register_keras_serializable(package="tests")
class Block(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norm = keras.layers.BatchNormalization()

    def call(self, x, training=False):
        return self.norm(x, training=training)


def normalized(layer):
    return keras.Sequential([keras.Input((3,)), layer, keras.layers.Dense(2)])


@pytest.mark.parametrize(
    ("name", "model", "sentence"),
    [
        ("ghost_batch_norm", linear, "no `keras.layers.BatchNorm"),
        ("ghost_batch_norm", lambda: normalized(Block()), "composite layer"),
        pytest.param(
            "ghost_batch_norm",
            lambda: normalized(
                keras.layers.BatchNormalization(synchronized=True)
            ),
            "synchronized",
            marks=pytest.mark.tensorflow,
        ),
        ("ghost_batch_norm", convolutional, ""),
        ("dreg", without_candidates, "no layer that can be doubled"),
        ("gradient_mix", linear, ""),
    ],
)
def test_techniques_that_can_do_nothing_say_why(name, model, sentence):
    said = get(name).unfit(model(), CONTEXT)
    assert sentence in said
    assert bool(said) == bool(sentence)
    alone = Context(0, 1, 1)
    assert get("group_noise").unfit(linear(), alone)


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    ("optimizer", "technique", "expected"),
    [
        (
            lambda: keras.optimizers.AdamW(0.1, beta_1=0.9, beta_2=0.98),
            "adam_scaling",
            {"beta_1": 0.6, "beta_2": 0.92, "epsilon": 5e-8},
        ),
        (
            lambda: keras.optimizers.RMSprop(0.1, rho=0.9, epsilon=1e-6),
            "adam_scaling",
            {"rho": 0.6, "epsilon": 5e-7},
        ),
        (
            lambda: keras.optimizers.Lion(0.1),
            "adam_scaling",
            {"beta_1": 0.6, "beta_2": 0.96},
        ),
        (
            lambda: keras.optimizers.SGD(0.1, momentum=0.9),
            "nesterov",
            {"nesterov": True, "momentum": 0.9},
        ),
    ],
)
def test_rules_of_optimizers(optimizer, technique, expected, wrapped):
    model = linear()
    optimizer = optimizer()
    if wrapped:
        optimizer = keras_lbreg.GradientNoise(optimizer)
    model.compile(optimizer, "mse")
    technique = get(technique)
    assert technique.unfit(model, CONTEXT) == ""
    changed = technique.optimizer(optimizer, {}, CONTEXT)
    assert changed is optimizer
    inner = optimizer.inner_optimizer if wrapped else optimizer
    received = {name: getattr(inner, name) for name in expected}
    assert received == pytest.approx(expected)


def test_rule_of_weight_averages():
    model = linear()
    average = get("average_scaling")
    model.compile(keras.optimizers.Adam(0.1), "mse")
    assert "use_ema" in average.unfit(model, CONTEXT)
    optimizer = keras.optimizers.Adam(0.1, use_ema=True, ema_momentum=0.9)
    model.compile(optimizer, "mse")
    assert average.unfit(model, CONTEXT) == ""
    average.optimizer(optimizer, {}, CONTEXT)
    assert optimizer.ema_momentum == pytest.approx(0.9**4)


@pytest.mark.parametrize(
    ("optimizer", "technique", "reason"),
    [
        (keras.optimizers.SGD(0.1), "adam_scaling", "squared gradients"),
        (keras.optimizers.Adagrad(0.1), "adam_scaling", "squared gradients"),
        (keras.optimizers.SGD(0.1), "nesterov", "momentum"),
        (
            keras_lbreg.GradientNoise(keras.optimizers.SGD(0.1)),
            "gradient_noise",
            "already",
        ),
        (keras.optimizers.Adam(0.1), "nesterov", "momentum"),
        (
            keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
            "nesterov",
            "already",
        ),
    ],
)
def test_rules_that_do_not_suit_an_optimizer(optimizer, technique, reason):
    model = linear()
    model.compile(optimizer, "mse")
    assert reason in get(technique).unfit(model, CONTEXT)
