import keras
import numpy as np
import pytest

import keras_lbreg
from keras_lbreg.models.dreg_model import path_layers
from keras_lbreg.warnings import NoEffectWarning
from tests.checks.layer import save_and_load
from tests.models.test_apply_dreg import (
    LABELS,
    MODELS,
    X,
    randomize_statistics,
    walk,
)

to_numpy = keras.ops.convert_to_numpy


def layers_of(model):
    return [(path, type(layer)) for path, layer in walk(model)]


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize("paths", ["both", "split"])
def test_strip_gives_the_architecture_and_the_path(name, paths):
    source = MODELS[name]()
    model = keras_lbreg.apply_dreg(source, paths=paths, init_distance=1.0)
    randomize_statistics(model)
    predictions = {}
    for path in ("right", "left"):
        plain = keras_lbreg.strip_dreg(model, path)
        assert layers_of(plain) == layers_of(source)
        assert plain.name == source.name
        assert type(plain) is type(source)
        for layer in path_layers(model):
            layer.active_path = path
        predictions[path] = to_numpy(model(X))
        np.testing.assert_allclose(plain(X), predictions[path], atol=1e-6)
        active = keras_lbreg.strip_dreg(model)
        np.testing.assert_allclose(active(X), predictions[path], atol=1e-6)
    assert np.abs(predictions["right"] - predictions["left"]).max() > 1e-3


def test_strip_undoes_apply_and_saves_as_plain_keras(tmp_path):
    source = MODELS["residual"]()
    plain = keras_lbreg.strip_dreg(keras_lbreg.apply_dreg(source), "right")
    for a, b in zip(source.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert plain.get_config() == source.get_config()
    path = tmp_path / "plain.keras"
    plain.save(path)
    assert type(keras.saving.load_model(path)) is type(source)


def test_a_sequential_model_comes_back(tmp_path):
    source = MODELS["sequential"]()
    model = keras_lbreg.apply_dreg(source, layer=["first", "last"])
    # It is remembered by further surgery, and in a file.
    model = keras_lbreg.apply_dreg(model, layer="top")
    with pytest.warns(NoEffectWarning):
        model = keras_lbreg.apply_ghost_batch_norm(model)
    for changed in (
        model,
        save_and_load(model, tmp_path),
        keras_lbreg.apply_dreg(model, layer="first", paths="split"),
    ):
        plain = keras_lbreg.strip_dreg(changed)
        assert type(plain) is keras.Sequential
        assert plain.get_config() == source.get_config()
        np.testing.assert_allclose(plain(X), source(X), atol=1e-6)


def test_a_sequential_model_of_models_comes_back():
    backbone = MODELS["residual"]()
    source = keras.Sequential(
        [keras.Input((8, 8, 3)), backbone, keras.layers.Dense(2, name="end")]
    )
    model = keras_lbreg.apply_dreg(source, "conv")
    plain = keras_lbreg.strip_dreg(model)
    assert type(plain) is keras.Sequential
    assert layers_of(plain) == layers_of(source)
    np.testing.assert_allclose(plain(X), source(X), atol=1e-6)


def test_a_model_without_shapes_is_refused():
    model = keras.Sequential([keras_lbreg.DRegDense(2)])
    with pytest.raises(ValueError, match=r"Add `keras.Input`"):
        keras_lbreg.strip_dreg(model)


def test_the_stripped_model_is_independent():
    model = keras_lbreg.apply_dreg(MODELS["sequential"]())
    expected = to_numpy(model(X))
    plain = keras_lbreg.strip_dreg(model)
    plain.compile("sgd", "sparse_categorical_crossentropy")
    plain.fit(X, LABELS, verbose=0)
    np.testing.assert_array_equal(model(X), expected)
    assert np.abs(to_numpy(plain(X)) - expected).max() > 0


def test_ghost_batch_norm_stays():
    model = keras_lbreg.apply_ghost_batch_norm(
        keras_lbreg.apply_dreg(MODELS["residual"]()), 2
    )
    plain = keras_lbreg.strip_dreg(model)
    bn = plain.get_layer("bn")
    assert type(bn) is keras_lbreg.GhostBatchNormalization
    assert bn.ghost_batch_size == 2


def test_bare_layers_in_a_sequential_model():
    model = keras.Sequential(
        [keras.Input((3,)), keras_lbreg.DRegDense(2, name="top", seed=1)]
    )
    plain = keras_lbreg.strip_dreg(model, "left")
    assert type(plain) is keras.Sequential
    assert type(plain.layers[-1]) is keras.layers.Dense
    np.testing.assert_array_equal(
        plain.layers[-1].kernel, model.layers[-1].kernel_left
    )


def test_nothing_to_strip_warns():
    with pytest.warns(NoEffectWarning, match="has no DReg layer"):
        keras_lbreg.strip_dreg(MODELS["sequential"]())


def test_invalid_path():
    model = keras_lbreg.apply_dreg(MODELS["sequential"]())
    with pytest.raises(ValueError, match=r"Received: path='best'"):
        keras_lbreg.strip_dreg(model, "best")
