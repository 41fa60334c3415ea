"""Every value of a DReg model survives every way of saving."""

import pickle

import keras
import numpy as np
import pytest

import keras_lbreg

to_numpy = keras.ops.convert_to_numpy
X = np.random.default_rng(0).normal(size=(4, 6, 6, 2)).astype("float32")


def make(paths):
    """All kinds of DReg layers, and normalization behind the fork."""
    keras.backend.clear_session()
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(3, 3, name="conv"),
            keras.layers.BatchNormalization(name="bn"),
            keras.layers.DepthwiseConv2D(2, name="depthwise"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(2, name="top"),
        ]
    )
    model = keras_lbreg.apply_dreg(
        model, ["conv", "depthwise", "top"], paths=paths, init_distance=0.5
    )
    model.compile("sgd", "mse")
    return model


def with_other_values(paths):
    """A model of which no variable has the value that it begins with."""
    model = make(paths)
    rng = np.random.default_rng(1)
    for variable in model.variables:
        value = rng.uniform(0.5, 1.5, size=variable.shape)
        variable.assign(value if variable.dtype == "float32" else value > 0)
    return model


def by_keras(model, fresh, folder):
    model.save(folder / "x.keras")
    return keras.saving.load_model(folder / "x.keras")


def by_weights(model, fresh, folder):
    model.save_weights(folder / "x.weights.h5")
    fresh.load_weights(folder / "x.weights.h5")
    return fresh


def by_legacy_file(model, fresh, folder):
    model.save(folder / "x.h5")
    return keras.saving.load_model(folder / "x.h5", compile=False)


def by_pickle(model, fresh, folder):
    return pickle.loads(pickle.dumps(model))


def by_list(model, fresh, folder):
    fresh.set_weights(model.get_weights())
    return fresh


def by_checkpoint(model, fresh, folder):
    import tensorflow as tf

    path = tf.train.Checkpoint(model=model).save(folder / "x")
    tf.train.Checkpoint(model=fresh).restore(path)
    return fresh


WAYS = [by_keras, by_weights, by_legacy_file, by_pickle, by_list]
TENSORFLOW_WAYS = [by_checkpoint]


@pytest.mark.parametrize("paths", ["both", "split"])
@pytest.mark.parametrize(
    "way",
    [
        *WAYS,
        *(
            pytest.param(w, marks=pytest.mark.tensorflow)
            for w in TENSORFLOW_WAYS
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_all_values_come_back(way, paths, tmp_path):
    model = with_other_values(paths)
    expected = [to_numpy(v).copy() for v in model.variables]
    names = [v.name for v in model.variables]
    assert names.count("initial_size") == 3
    assert names.count("left_active") == 4
    assert names.count("moving_mean_left") == 1
    again = way(model, make(paths), tmp_path)
    assert type(again) is type(model)
    assert [v.name for v in again.variables] == names
    for variable, value in zip(again.variables, expected, strict=True):
        np.testing.assert_array_equal(
            to_numpy(variable), value, err_msg=variable.path
        )
    assert again.layers[-1].active_path == "left"
    np.testing.assert_allclose(again(X), model(X), rtol=1e-6)


@pytest.mark.tensorflow
def test_saved_model(tmp_path):
    import tensorflow as tf

    model = with_other_values("both")
    model.export(tmp_path / "export", verbose=False)
    served = tf.saved_model.load(tmp_path / "export")
    np.testing.assert_allclose(served.serve(X), model(X), rtol=1e-5)
    tf.saved_model.save(model, tmp_path / "whole")
    saved = tf.train.load_checkpoint(tmp_path / "whole/variables/variables")
    values = [
        saved.get_tensor(name)
        for name in saved.get_variable_to_shape_map()
        if "VARIABLE_VALUE" in name
    ]
    for variable in model.variables:
        assert any(
            np.array_equal(value, to_numpy(variable)) for value in values
        ), variable.path
