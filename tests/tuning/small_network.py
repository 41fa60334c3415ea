"""A network with everything that techniques change, and data for it."""

import keras
import numpy as np


def small_network(named=True, **compiled):
    """Compiled; the layers `conv`, `norm` and `dense` can be asked for."""
    conv, norm, dense = ("conv", "norm", "dense") if named else (None,) * 3
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Conv2D(2, 3, name=conv),
            keras.layers.BatchNormalization(momentum=0.8, name=norm),
            keras.layers.Flatten(),
            keras.layers.Dense(3, name=dense),
        ]
    )
    model.compile(
        **{
            "optimizer": keras.optimizers.SGD(0.1, momentum=0.9),
            "loss": keras.losses.SparseCategoricalCrossentropy(
                from_logits=True
            ),
            "metrics": ["accuracy"],
            # Few and small batches: tracing would take longer than training.
            "run_eagerly": True,
            **compiled,
        }
    )
    return model


def small_data(samples=32, seed=0):
    """Three classes told apart by noisy brightness."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=samples).astype("int32")
    x = rng.normal(size=(samples, 4, 4, 1)) + y.reshape(-1, 1, 1, 1)
    return x.astype("float32"), y
