"""What a worker of the fault tests does: it trains, and may be killed.

    python -m tests.checks.resume_worker FOLDER [INDEX EPOCH]

writes `FOLDER/weights-WORKER.npy`. Worker INDEX kills itself in the middle of
EPOCH.
"""

import os
import pathlib
import signal
import sys

import keras
import numpy as np

import keras_lbreg as lbreg


class Kill(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.wanted, self.epoch = epoch, None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (self.wanted, 1):
            os.kill(os.getpid(), signal.SIGKILL)


def main(folder, killed=None, epoch=None):
    strategy = lbreg.MultiWorkerMirroredStrategy(start_timeout=60)
    index = strategy.cluster.index
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = keras.Sequential(
            [
                keras.Input((5,)),
                keras.layers.Dense(7),
                lbreg.GhostBatchNormalization(ghost_batch_size=4),
                keras.layers.Dense(1),
            ]
        )
        sgd = keras.optimizers.SGD(0.1, momentum=0.9)
        model.compile(lbreg.GradientNoise(sgd, alpha=0.01, seed=1), "mse")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 5)), rng.normal(size=(32, 1))
    # Only the chief's file exists: the others need no shared disk.
    backup = lbreg.MultiWorkerBackup(folder / f"backup-{index}.npz")
    callbacks = [backup]
    if killed is not None and index == int(killed):
        callbacks.append(Kill(int(epoch)))
    history = model.fit(
        x,
        y,
        batch_size=8,
        epochs=4,
        shuffle=False,
        verbose=0,
        callbacks=callbacks,
    )
    print("epochs", history.epoch, flush=True)
    np.save(
        folder / f"weights-{index}.npy",
        np.concatenate([w.numpy().ravel() for w in model.trainable_weights]),
    )


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), *sys.argv[2:])
