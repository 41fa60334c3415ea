"""Trains on all JAX devices, of one process or of several that run this."""

import os

import jax
import keras
import numpy as np

import keras_lbreg as lbreg

BATCH = 256  # global
if "KERAS_DISTRIBUTION_NUM_PROCESSES" in os.environ:
    keras.distribution.initialize()  # before any computation
process, processes = jax.process_index(), jax.process_count()

# Each process gives its own rows: Keras has nothing to divide.
keras.distribution.set_distribution(
    keras.distribution.DataParallel(auto_shard_dataset=False)
)
keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        keras.layers.Rescaling(1 / 16),
        keras.layers.Conv2D(32, 3, use_bias=False),
        lbreg.GhostBatchNormalization(ghost_batch_size=64, momentum=0.9),
        keras.layers.ReLU(),
        keras.layers.Flatten(),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
sgd = keras.optimizers.SGD(0.05, momentum=0.9)
model.compile(
    lbreg.GradientNoise(sgd, seed=1),
    "sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
data = lbreg.data.load_dataset("digits")


def own_rows():
    """This process's rows of each global batch, in the order of all."""
    rng, size = np.random.default_rng(0), BATCH // processes
    while True:
        order = rng.permutation(len(data.x_train))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            first = start + process * size
            rows = order[first : first + size]
            yield data.x_train[rows], data.y_train[rows]


model.fit(
    own_rows(),
    steps_per_epoch=len(data.x_train) // BATCH,
    epochs=5,
    verbose=2 if process == 0 else 0,
)
# Saving makes variables, which all processes would have to do together.
keras.distribution.set_distribution(None)
if process == 0:
    model.save("model.keras")
