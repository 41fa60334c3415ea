"""Models that the tests of the techniques change."""

import keras


def convolutional():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(4, 3, use_bias=False, name="conv"),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, name="logits"),
        ]
    )


def two_heads():
    """Tokens to two outputs: Dense layers alone, none of them the last."""
    tokens = keras.Input((5,), dtype="int32", name="tokens")
    x = keras.layers.Embedding(10, 4)(tokens)
    x = keras.layers.GlobalAveragePooling1D()(x)
    x = keras.layers.Dense(4, "relu", name="first")(x)
    x = keras.layers.Dense(4, "relu", name="trunk")(x)
    heads = [keras.layers.Dense(n, name=f"head_{n}")(x) for n in (1, 3)]
    return keras.Model(tokens, heads)


def linear():
    return keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(1, name="out")]
    )


def without_candidates():
    return keras.Sequential(
        [keras.Input((4, 3)), keras.layers.LSTM(2), keras.layers.ReLU()]
    )
