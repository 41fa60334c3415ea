"""Trains on all the workers that TF_CONFIG names; each runs this file."""

import argparse

import keras

import keras_lbreg as lbreg

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--batch-size", type=int, default=256, help="global")
arguments = parser.parse_args()

strategy = lbreg.MultiWorkerMirroredStrategy()  # before anything of TensorFlow
keras.utils.set_random_seed(0)
layout = lbreg.batch_layout(
    arguments.batch_size,
    strategy,
    ghost_batch_size=64,
    base_batch_size=32,
    base_learning_rate=0.02,
)
if strategy.is_chief:
    print(layout, flush=True)

data = lbreg.data.load_dataset("digits")  # the same arrays on every worker
with strategy.scope():
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
    sgd = keras.optimizers.SGD(layout.learning_rate, momentum=0.9)
    model.compile(
        lbreg.GradientNoise(lbreg.GradientMix(sgd, seed=1), seed=1),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
model.fit(
    data.x_train,
    data.y_train,
    batch_size=arguments.batch_size,
    epochs=arguments.epochs,
    validation_data=(data.x_val, data.y_val),
    callbacks=[lbreg.MultiWorkerBackup("backup.npz")],
    verbose=2 if strategy.is_chief else 0,
)
if strategy.is_chief:
    model.save("model.keras")
