"""Times a training step with and without the gradient wrappers, and LARS.

    python benchmarks/gradient_wrappers.py --backend tensorflow
    python benchmarks/gradient_wrappers.py --replicas 2 --json out.json

A step is `train_on_batch` of one dense network. The optimizers take turns, so
that whatever else the machine does meets all of them; a ratio is the median
over the turns of the time with a wrapper by the time without. Noise costs by
the number of weights and mixing by the number of replicas, and neither by the
size of the batch: the ratio falls with the batch.
"""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import statistics
import time


def main():
    arguments = parse_arguments()
    os.environ["KERAS_BACKEND"] = arguments.backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if arguments.replicas > 1 and arguments.backend != "tensorflow":
        raise SystemExit("--replicas needs --backend tensorflow")
    report = measure(arguments)
    for name, result in report["optimizers"].items():
        print(f"{name:28}{result['ms']:9.2f} ms   x {result['ratio']:.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--backend", choices=["tensorflow", "jax"], default="tensorflow"
    )
    parser.add_argument("--replicas", type=int, default=1, help="virtual CPUs")
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--units", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--json", type=pathlib.Path, help="file to write")
    return parser.parse_args()


def measure(arguments):
    # The virtual devices have to be there before anything else runs.
    scope = (
        mirrored_strategy(arguments.replicas).scope
        if arguments.replicas > 1
        else contextlib.nullcontext
    )
    import keras
    import numpy as np

    rng = np.random.default_rng(0)
    shape = (arguments.batch_size, arguments.units)
    x = rng.normal(size=shape).astype("float32")
    y = rng.normal(size=(arguments.batch_size, 1)).astype("float32")
    models = {}
    for name, optimizer in optimizers(arguments.replicas).items():
        with scope():
            models[name] = make_model(arguments, optimizer)
        for _ in range(3):
            models[name].train_on_batch(x, y)
    times = {name: [] for name in models}
    for _ in range(arguments.turns):
        for name, model in models.items():
            start = time.perf_counter()
            model.train_on_batch(x, y)
            times[name].append(1e3 * (time.perf_counter() - start))
    return {
        "backend": arguments.backend,
        "keras": keras.__version__,
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "replicas": arguments.replicas,
        "batch_size": arguments.batch_size,
        "weights": models["SGD"].count_params(),
        "optimizers": {
            name: {
                "ms": statistics.median(values),
                "ratio": statistics.median(
                    wrapped / plain
                    for wrapped, plain in zip(values, times["SGD"], strict=True)
                ),
            }
            for name, values in times.items()
        },
    }


def mirrored_strategy(replicas):
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * replicas
    )
    return tf.distribute.MirroredStrategy(
        [f"CPU:{i}" for i in range(replicas)],
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )


def optimizers(replicas):
    """Functions that make the optimizers to compare."""
    import keras

    import keras_lbreg as lbreg

    def sgd():
        return keras.optimizers.SGD(0.01, momentum=0.9)

    compared = {
        "SGD": sgd,
        "GradientNoise": lambda: lbreg.GradientNoise(sgd(), seed=1),
        "LARS": lambda: lbreg.LARS(0.01, momentum=0.9),
    }
    if replicas > 1:
        compared["GradientMix"] = lambda: lbreg.GradientMix(sgd(), seed=1)
        compared["GradientNoise(GradientMix)"] = lambda: lbreg.GradientNoise(
            lbreg.GradientMix(sgd(), seed=1), seed=1
        )
    return compared


def make_model(arguments, optimizer):
    import keras

    model = keras.Sequential(
        [
            keras.Input((arguments.units,)),
            *(
                keras.layers.Dense(arguments.units, activation="relu")
                for _ in range(arguments.layers)
            ),
            keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer(), "mse", jit_compile=arguments.backend == "jax")
    return model


if __name__ == "__main__":
    main()
