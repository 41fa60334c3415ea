"""Times crops and flips of a batch: ours, Keras's layers, tf.image.

    python benchmarks/augmentation.py --json out.json

The same work three ways, on one batch of `uint8` images: our
`Augmentation` (NumPy), `keras.layers.RandomCrop` with `RandomFlip` and
`ZeroPadding2D`, compiled, and `tf.image` image by image in a parallel
`tf.data` map. They take turns of eight batches; the median is reported.
"""

import argparse
import json
import os
import pathlib
import statistics
import time

import numpy as np

IN_A_ROW = 8
CASES = {"MNIST": ((28, 28, 1), 2), "CIFAR-10": ((32, 32, 3), 4)}


def main():
    arguments = parse_arguments()
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from keras_lbreg.training.environment import environment

    report = {"environment": environment(), "milliseconds": {}}
    for name, (shape, pad) in CASES.items():
        for batch in arguments.batch_sizes:
            report["milliseconds"][f"{name}, batch {batch:,}"] = measure(
                shape, pad, batch, arguments.turns
            )
    show(report)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--batch-sizes", type=int, nargs="+", default=[128, 4096]
    )
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--json", type=pathlib.Path, help="file to write")
    return parser.parse_args()


def measure(shape, pad, batch, turns):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 255, (batch, *shape), "uint8")
    ways = {
        "ours": ours(images, pad),
        "Keras layers": keras_layers(images, pad),
        "tf.image": tf_image(images, pad),
    }
    times = {name: [] for name in ways}
    for _ in range(turns):
        for name, run in ways.items():
            start = time.perf_counter()
            # Several in a row: tf.data works ahead while the others have
            # their turns.
            for _ in range(IN_A_ROW):
                run()
            seconds = time.perf_counter() - start
            times[name].append(1e3 * seconds / IN_A_ROW)
    return {name: statistics.median(values) for name, values in times.items()}


def ours(images, pad):
    from keras_lbreg.data import Augmentation

    augment = Augmentation(pad=pad, flip=True)
    generator = np.random.default_rng(0)
    return lambda: augment(images, generator)


def keras_layers(images, pad):
    import keras
    import tensorflow as tf

    height, width, _ = images.shape[1:]
    layers = keras.Sequential(
        [
            keras.Input(images.shape[1:]),
            keras.layers.ZeroPadding2D(pad),
            keras.layers.RandomCrop(height, width),
            keras.layers.RandomFlip("horizontal"),
        ]
    )
    compiled = tf.function(lambda x: layers(x, training=True))
    tensor = tf.constant(images)
    compiled(tensor)
    return lambda: compiled(tensor).numpy()


def tf_image(images, pad):
    import tensorflow as tf

    height, width, channels = images.shape[1:]

    def augment(image):
        image = tf.image.pad_to_bounding_box(
            image, pad, pad, height + 2 * pad, width + 2 * pad
        )
        image = tf.image.random_crop(image, (height, width, channels))
        return tf.image.random_flip_left_right(image)

    data = tf.data.Dataset.from_tensor_slices(images)
    data = data.map(augment, num_parallel_calls=tf.data.AUTOTUNE)
    data = data.batch(len(images)).repeat()
    stream = iter(data)
    next(stream)
    return lambda: next(stream).numpy()


def show(report):
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(report["environment"])
    table = Table(title="Pad, crop and flip a batch, ms")
    first = next(iter(report["milliseconds"].values()))
    for title in ("", *first):
        table.add_column(title, justify="right")
    for name, values in report["milliseconds"].items():
        table.add_row(name, *(f"{value:.1f}" for value in values.values()))
    console.print(table)


if __name__ == "__main__":
    main()
