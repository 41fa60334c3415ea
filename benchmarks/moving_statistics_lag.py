"""Shows which part of ghost batch normalization's effect is lag.

    python benchmarks/moving_statistics_lag.py

A small network is trained on digits with a large batch: at the base learning
rate ("large"), at one scaled by the square root ("LR"), and with ghost batches,
with either rule for the moving statistics. Each is judged twice: with the
moving statistics as training left them, and with statistics re-estimated on
the training data. What the second judgement takes from the difference between
two arms is lag of the moving statistics, not generalization.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

import keras_lbreg as lbreg

BASE_RATE, BASE_BATCH_SIZE, BATCH_SIZE, GHOST_BATCH_SIZE = 0.02, 16, 512, 16
SCALED_RATE = BASE_RATE * (BATCH_SIZE / BASE_BATCH_SIZE) ** 0.5
ARMS = {
    "large": (BASE_RATE, None),
    "LR": (SCALED_RATE, None),
    "LR + GBN, sequential": (SCALED_RATE, "sequential"),
    "LR + GBN, mean": (SCALED_RATE, "mean"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument(
        "--momentum", type=float, nargs="+", default=[0.9, 0.99]
    )
    arguments = parser.parse_args()
    data = lbreg.data.load_dataset("digits")
    data = [
        (np.asarray(x, "float32") / 16, y)
        for x, y in ((data.x_train, data.y_train), (data.x_val, data.y_val))
    ]
    print("| momentum | arm | moving statistics | re-estimated |")
    print("| --- | --- | --- | --- |")
    for momentum in arguments.momentum:
        for arm in ARMS:
            both = [
                run(data, arm, momentum, seed, arguments.epochs)
                for seed in range(arguments.seeds)
            ]
            moving, anew = (
                f"{100 * np.mean(v):.1f} ({100 * min(v):.1f} to "
                f"{100 * max(v):.1f})"
                for v in zip(*both, strict=True)
            )
            print(f"| {momentum} | {arm} | {moving} | {anew} |", flush=True)


def run(data, arm, momentum, seed, epochs):
    """Validation accuracy with moving and with re-estimated statistics."""
    (x, y), validation = data
    rate, statistics = ARMS[arm]
    keras.utils.set_random_seed(seed)
    layers = [keras.Input(x.shape[1:]), keras.layers.Flatten()]
    for _ in range(2):
        layers += [
            keras.layers.Dense(128, use_bias=False),
            keras.layers.BatchNormalization(momentum=momentum, epsilon=1e-5),
            keras.layers.ReLU(),
        ]
    model = keras.Sequential([*layers, keras.layers.Dense(10)])
    if statistics:
        model = lbreg.apply_ghost_batch_norm(
            model, ghost_batch_size=GHOST_BATCH_SIZE, statistics=statistics
        )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.SGD(rate, momentum=0.9)
    model.compile(optimizer, loss, metrics=["accuracy"])
    model.fit(x, y, batch_size=BATCH_SIZE, epochs=epochs, verbose=0)
    if statistics:
        model = lbreg.strip_ghost_batch_norm(model)
        model.compile(loss=loss, metrics=["accuracy"])
    moving = model.evaluate(*validation, verbose=0)[1]
    lbreg.reestimate_batch_norm(model, x, batch_size=BATCH_SIZE)
    return moving, model.evaluate(*validation, verbose=0)[1]


if __name__ == "__main__":
    main()
