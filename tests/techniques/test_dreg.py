import keras
import numpy as np
import pytest

import keras_lbreg
from keras_lbreg.techniques import Context, get

DREG = get("dreg")
CONTEXT = Context(seed=3, base_batch_size=2, batch_size=8, dreg_layer="conv")


def network():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(4, 3, use_bias=False, name="conv"),
            keras.layers.ReLU(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, name="logits"),
        ]
    )


def doubled(**overrides):
    return DREG.model(network(), DREG.hyperparameters(overrides), CONTEXT)


def test_both_paths_are_taken_unless_one_asks():
    model = doubled()
    assert isinstance(model, keras_lbreg.DRegModel)
    assert model.get_layer("conv").paths == "both"


def test_split_paths_cut_the_batch_between_the_kernels():
    model = doubled(paths="split")
    assert not isinstance(model, keras_lbreg.DRegModel)
    layer = model.get_layer("conv")
    assert layer.paths == "split"
    x = np.random.default_rng(0).normal(size=(8, 6, 6, 2)).astype("float32")
    # The oracle: the plain network, with either kernel.
    plain = network()
    expected = []
    for kernel, part in ((layer.kernel, x[:4]), (layer.kernel_left, x[4:])):
        plain.get_layer("conv").kernel.assign(kernel)
        expected.append(keras.ops.convert_to_numpy(plain(part)))
    got = keras.ops.convert_to_numpy(model(x, training=True))
    np.testing.assert_allclose(got, np.concatenate(expected), atol=1e-6)


def test_split_paths_select_a_path_and_end_as_the_plain_network():
    model = doubled(paths="split")
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["acc"])
    x = np.random.default_rng(0).normal(size=(8, 6, 6, 2)).astype("float32")
    y = np.arange(8) % 3
    context = Context(
        seed=3, base_batch_size=2, batch_size=8, validation_data=(x, y)
    )
    callbacks = DREG.callbacks(DREG.hyperparameters({}), context)
    logs = model.fit(x, y, batch_size=8, verbose=0, callbacks=callbacks)
    assert {"val_acc_right", "val_acc_left"} <= set(logs.history)
    plain = DREG.finalize(model)
    assert type(plain.get_layer("conv")) is keras.layers.Conv2D
    np.testing.assert_allclose(
        plain.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6
    )


def test_paths_of_another_kind_are_refused():
    with pytest.raises(ValueError, match=r"`paths`.*Received: paths='all'"):
        doubled(paths="all")
