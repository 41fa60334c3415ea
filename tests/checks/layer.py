"""What every layer of this package has to do."""

import keras
import numpy as np


def run_layer_test(layer_class, init_kwargs, input_shape, dtypes=("float32",)):
    """Builds, calls, saves and trains a layer; returns it after `fit`.

    Args:
        layer_class: The layer class under test.
        init_kwargs: Arguments of its constructor.
        input_shape: Shape of one batch, batch axis included.
        dtypes: Dtype policies to train under.
    """
    x = np.random.default_rng(0).normal(size=input_shape).astype("float32")
    layer = layer_class(**init_kwargs)

    symbolic = layer(keras.KerasTensor(input_shape))
    eager = layer(x, training=False)
    assert tuple(symbolic.shape) == tuple(eager.shape)
    assert layer.compute_output_shape(input_shape) == tuple(eager.shape)

    config = layer.get_config()
    for name in init_kwargs:
        assert name in config
        assert hasattr(layer, name)
    again = layer_class.from_config(config)
    assert again.get_config() == config
    again(x)
    assert [w.path.split("/")[-1] for w in again.weights] == [
        w.path.split("/")[-1] for w in layer.weights
    ]
    again.set_weights(layer.get_weights())
    np.testing.assert_allclose(again(x, training=False), eager, rtol=1e-6)

    for dtype in dtypes:
        trained = layer_class(**init_kwargs, dtype=dtype)
        model = keras.Sequential(
            [
                keras.Input(input_shape[1:]),
                trained,
                keras.layers.Flatten(),
                keras.layers.Dense(1, dtype="float32"),
            ]
        )
        model.compile("sgd", "mse")
        history = model.fit(
            x, np.zeros((input_shape[0], 1)), batch_size=4, verbose=0
        )
        assert np.isfinite(history.history["loss"][0])
    return trained


def save_and_load(model, tmp_path):
    """The model after a `.keras` round trip, without `custom_objects`."""
    path = tmp_path / "model.keras"
    model.save(path)
    return keras.saving.load_model(path)
