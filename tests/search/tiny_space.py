"""The space of a search on a small network, without data."""

import keras
import keras_tuner

TINY_EPOCHS = 9


def tiny_space(search):
    """The space's hyperparameters, as `search.json` holds them."""
    images = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(images)
    for units in (16, 16, 10):
        x = keras.layers.BatchNormalization()(keras.layers.Dense(units)(x))
    hp = keras_tuner.HyperParameters()
    search.space((512,), 16).declare(hp, keras.Model(images, x))
    return hp.get_config()["space"]
