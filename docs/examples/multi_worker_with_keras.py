"""TensorFlow's tutorial "Multi-worker training with Keras", on Keras 3.

Start it once for each worker, with that worker's TF_CONFIG:

    TF_CONFIG='{"cluster": {"worker": ["localhost:12345", "localhost:23456"]},
        "task": {"type": "worker", "index": 0}}' \
        python multi_worker_with_keras.py FOLDER [DATASET]

DATASET is `mnist`, once `lbreg data` has prepared it, or `digits`, the default.
"""

import json
import os
import pathlib
import sys

import keras
import tensorflow as tf

import keras_lbreg as lbreg

PER_WORKER_BATCH_SIZE = 64


def make_dataset(name, batch_size):
    data = lbreg.data.load_dataset(name)
    x, y = data.x_train / data.x_train.max(), data.y_train
    dataset = tf.data.Dataset.from_tensor_slices((x.astype("float32"), y))
    return dataset.shuffle(len(x)).repeat().batch(batch_size)


def build_and_compile_cnn_model(shape):
    model = keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer=keras.optimizers.SGD(learning_rate=0.01),
        metrics=["accuracy"],
    )
    return model


def main(folder, dataset="digits"):
    folder = pathlib.Path(folder)
    tf_config = json.loads(os.environ["TF_CONFIG"])
    num_workers = len(tf_config["cluster"]["worker"])

    # The tutorial has `tf.distribute.MultiWorkerMirroredStrategy()` here.
    strategy = lbreg.MultiWorkerMirroredStrategy()

    global_batch_size = PER_WORKER_BATCH_SIZE * num_workers
    multi_worker_dataset = make_dataset(dataset, global_batch_size)
    with strategy.scope():
        multi_worker_model = build_and_compile_cnn_model(
            multi_worker_dataset.element_spec[0].shape[1:]
        )

    # The tutorial has `keras.callbacks.BackupAndRestore` here.
    backup = lbreg.MultiWorkerBackup(folder / "backup.npz")
    multi_worker_model.fit(
        multi_worker_dataset, epochs=3, steps_per_epoch=70, callbacks=[backup]
    )

    # Every worker of the tutorial saves, and all but the chief delete.
    if strategy.is_chief:
        multi_worker_model.save(folder / "model.keras")


if __name__ == "__main__":
    main(*sys.argv[1:])
