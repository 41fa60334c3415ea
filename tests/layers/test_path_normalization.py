import keras
import numpy as np
import pytest

import keras_lbreg
from keras_lbreg.layers.path_normalization import PathNormalization
from tests.checks.layer import save_and_load

to_numpy = keras.ops.convert_to_numpy

LAYERS = {
    "plain": lambda **kw: keras.layers.BatchNormalization(momentum=0.8, **kw),
    "ghost": lambda **kw: keras_lbreg.GhostBatchNormalization(
        momentum=0.8, ghost_batch_size=4, **kw
    ),
}


@pytest.fixture(params=list(LAYERS))
def make(request):
    return LAYERS[request.param]


def batches(seed=0, size=8):
    """Two paths with different statistics, stacked."""
    rng = np.random.default_rng(seed)
    right = rng.normal(2, 1, size=(size, 3)).astype("float32")
    left = rng.normal(-5, 4, size=(size, 3)).astype("float32")
    return right, left, np.concatenate([right, left])


def test_each_path_is_normalized_as_in_a_network_of_its_own(make):
    layer, alone_right, alone_left = PathNormalization(make()), make(), make()
    for step in range(3):
        right, left, stacked = batches(step)
        outputs = to_numpy(layer(stacked, training=True))
        np.testing.assert_allclose(
            outputs[:8], alone_right(right, training=True), atol=1e-5
        )
        np.testing.assert_allclose(
            outputs[8:], alone_left(left, training=True), atol=1e-5
        )
    for path, alone, x in [
        ("right", alone_right, right),
        ("left", alone_left, left),
    ]:
        layer.active_path = path
        assert layer.active_path == path
        np.testing.assert_allclose(layer(x), alone(x), atol=1e-4)


def test_gamma_and_beta_are_shared(make):
    layer = PathNormalization(make())
    layer.build((None, 3))
    assert [v.name for v in layer.trainable_variables] == ["gamma", "beta"]
    assert len(layer.non_trainable_variables) == 5
    layer.layer.gamma.assign([2.0, 2.0, 2.0])
    _, _, stacked = batches()
    scaled = to_numpy(layer(stacked, training=True))
    np.testing.assert_allclose(scaled[:8].std(0), 2.0, rtol=0.3)
    np.testing.assert_allclose(scaled[8:].std(0), 2.0, rtol=0.3)


@pytest.mark.parametrize("frozen_before_build", [True, False])
def test_a_frozen_layer_uses_the_moving_statistics(make, frozen_before_build):
    inner = make(trainable=not frozen_before_build)
    layer = PathNormalization(inner)
    layer.build((None, 3))
    layer.trainable = False
    layer.left_statistics[0].assign([1.0, 1.0, 1.0])
    before = [to_numpy(v) for v in layer.variables]
    assert len(layer.left_statistics) == 2
    x = np.ones((4, 3), "float32")
    outputs = to_numpy(layer(x, training=True))
    np.testing.assert_allclose(outputs[:2], 1.0, atol=1e-3)
    np.testing.assert_allclose(outputs[2:], 0.0, atol=1e-3)
    for a, b in zip(before, layer.variables, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.skipif(
    keras.backend.backend() == "jax",
    reason="Keras 3.15 cannot batch-normalize with a mask under JAX",
)
def test_masks_are_split_with_the_batch():
    layer = PathNormalization(keras.layers.BatchNormalization(momentum=0.0))
    x = np.array([[[1.0], [9.0]], [[3.0], [9.0]]], "float32")
    mask = np.array([[True, False], [True, True]])
    layer(x, training=True, mask=mask)
    np.testing.assert_allclose(layer.right_statistics[0], [1.0], atol=1e-5)
    np.testing.assert_allclose(layer.left_statistics[0], [6.0], atol=1e-5)


def test_half_precision_and_config(make):
    keras.config.set_dtype_policy("mixed_float16")
    layer = PathNormalization(make(), name="bn")
    _, _, stacked = batches()
    outputs = layer(stacked, training=True)
    assert keras.backend.standardize_dtype(outputs.dtype) == "float16"
    assert {v.dtype for v in layer.variables} == {"float32", "bool"}
    assert np.isfinite(to_numpy(outputs)).all()
    again = PathNormalization.from_config(layer.get_config())
    assert again.name == "bn"
    assert type(again.layer) is type(layer.layer)
    assert again.compute_output_shape((8, 3)) == (8, 3)


def test_training_moves_both_statistics_and_saves_them(make, tmp_path):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, PathNormalization(make())(inputs))
    model.compile("sgd", "mse")
    _, _, stacked = batches()
    model.fit(stacked, 0 * stacked, batch_size=16, shuffle=False, verbose=0)
    layer = model.layers[-1]
    assert to_numpy(layer.right_statistics[0]).mean() > 0.1
    assert to_numpy(layer.left_statistics[0]).mean() < -0.5
    layer.active_path = "left"
    again = save_and_load(model, tmp_path)
    assert again.layers[-1].active_path == "left"
    np.testing.assert_array_equal(again(stacked), model(stacked))
