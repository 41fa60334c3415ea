"""A text classifier; the texts are made up of random tokens."""

import keras
import numpy as np

import keras_lbreg as lbreg

rng = np.random.default_rng(0)
tokens = rng.integers(0, 200, (1200, 20))
# The class is that of most tokens.
labels = (tokens < 100).mean(axis=1) > 0.5


def build_model():
    model = keras.Sequential(
        [
            keras.Input((20,), dtype="int32"),
            keras.layers.Embedding(200, 16),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


workload = lbreg.Workload(
    build_model,
    train_data=(tokens[:1000], labels[:1000].astype("float32")),
    validation_data=(tokens[1000:], labels[1000:].astype("float32")),
    regime=lbreg.Regime(16, 1e-3, epochs=8, decay="linear"),
    name="tokens",
    batch_size=250,
)
