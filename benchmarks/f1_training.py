"""How close the runner comes to the matrix products of F1.

    python benchmarks/f1_training.py --data-dir ~/tensorflow_datasets
    python benchmarks/f1_training.py --backend jax --batch-size 128

F1 of Hoffer et al. is bounded by its matrix products. Three things take turns
on the same cores: those products alone, compiled (forward, weights' gradients,
inputs' gradients but the first layer's); `fit` of the runner's model on one
batch that is there already; and the runner itself, with batches, crops and
flips. The shares say what normalization, activations, loss, clip and
optimizer cost, and what the data costs.
"""

import argparse
import itertools
import json
import os
import pathlib
import statistics
import time

import numpy as np

WIDTHS = (784, 512, 512, 512, 512, 512, 10)


def main():
    arguments = parse_arguments()
    os.environ["KERAS_BACKEND"] = arguments.backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from keras_lbreg.training.environment import environment

    parts = {
        "matrix products": matrix_products(arguments),
        "the model's step": model_step(arguments),
        "the runner": runner(arguments),
    }
    times = {name: [] for name in parts}
    for _ in range(arguments.turns):
        for name, run in parts.items():
            start = time.perf_counter()
            run()
            seconds = time.perf_counter() - start
            times[name].append(seconds / arguments.steps)
    report = {
        "environment": environment(),
        "batch_size": arguments.batch_size,
        "arm": arguments.arm,
        "flops": flops(arguments.batch_size),
        "seconds_a_step": {
            name: statistics.median(values) for name, values in times.items()
        },
    }
    show(report)
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
    parser.add_argument("--arm", default="lr_gbn")
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=14)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--data-dir", help="prepared datasets, for real MNIST")
    parser.add_argument("--json", type=pathlib.Path, help="file to write")
    return parser.parse_args()


def flops(batch):
    """Floating-point operations of the products of one step."""
    pairs = list(itertools.pairwise(WIDTHS))
    forward = sum(2 * batch * a * b for a, b in pairs)
    return 3 * forward - 2 * batch * pairs[0][0] * pairs[0][1]


def matrix_products(arguments):
    """A function that makes all products of some steps, and nothing else."""
    generator = np.random.default_rng(0)
    shapes = list(itertools.pairwise(WIDTHS))
    inputs = [
        generator.standard_normal((arguments.batch_size, a), "float32")
        for a, _ in shapes
    ]
    kernels = [generator.standard_normal(s, "float32") for s in shapes]
    outputs = [
        generator.standard_normal((arguments.batch_size, b), "float32")
        for _, b in shapes
    ]

    def products(inputs, kernels, outputs, matmul):
        results = []
        for i, (x, w, dy) in enumerate(
            zip(inputs, kernels, outputs, strict=True)
        ):
            results += [matmul(x, w, False, False), matmul(x, dy, True, False)]
            if i:
                results.append(matmul(dy, w, False, True))
        return results

    if arguments.backend == "jax":
        import jax

        def matmul(a, b, left, right):
            return (a.T if left else a) @ (b.T if right else b)

        compiled = jax.jit(lambda *arrays: products(*arrays, matmul))
        arrays = jax.device_put((inputs, kernels, outputs))

        def run():
            for _ in range(arguments.steps):
                result = compiled(*arrays)
            jax.block_until_ready(result)

    else:
        import tensorflow as tf

        @tf.function
        def compiled(*arrays):
            return products(*arrays, tf.linalg.matmul)

        arrays = tf.nest.map_structure(tf.constant, (inputs, kernels, outputs))

        def run():
            for _ in range(arguments.steps):
                result = compiled(*arrays)
            result[-1].numpy()

    run()
    return run


def prepare(arguments):
    """The run of F1 by its paper; made-up images without a folder."""
    import dataclasses

    import keras

    import keras_lbreg as lbreg
    from keras_lbreg.comparison import standard_arms
    from keras_lbreg.training import Run
    from keras_lbreg.workloads.networks import fully_connected

    if arguments.data_dir:
        data = lbreg.load_dataset("mnist", arguments.data_dir)
        x, y = data.x_train, data.y_train
    else:
        generator = np.random.default_rng(0)
        x = generator.integers(0, 255, (60_000, 28, 28, 1), "uint8")
        y = np.arange(60_000) % 10

    def build_model(steps_per_epoch):
        model = fully_connected(
            (28, 28, 1), "uint8", 10, ([127.5], [127.5**2]), (512,) * 5
        )
        optimizer = lbreg.CoupledSGD(
            momentum=0.9,
            weight_decay=1e-4,
            reset_momentum_every=steps_per_epoch,
            global_clipnorm=5.0,
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss, metrics=["accuracy"])
        return model

    workload = lbreg.Workload(
        build_model,
        train_data=(x, y),
        validation_data=(x[:1000], y[:1000]),
        regime=lbreg.Regime(64, 0.1, epochs=1),
        name="f1",
        batch_size=arguments.batch_size,
        techniques={"ghost_batch_norm": {"ghost_batch_size": 64}},
        augmentation=lbreg.data.Augmentation(pad=2, flip=True),
    )
    arms = {arm.name: arm for arm in standard_arms()}
    run = Run(workload, arms[arguments.arm])
    run.plan = dataclasses.replace(run.plan, steps_per_epoch=arguments.steps)
    return run


def model_step(arguments):
    """A function that fits some steps on one batch in memory."""
    run = prepare(arguments)
    model = run.build()
    # Different images: the variance of equal ones is 0, and what is divided by
    # it slows the processor down.
    x, y = next(run.facts.train.batches(run))
    if arguments.backend == "tensorflow":
        import tensorflow as tf

        options = tf.data.Options()
        options.autotune.enabled = False  # as in the runner
        data = tf.data.Dataset.from_tensors((x, y)).repeat()
        data = data.with_options(options)
    else:
        import jax

        x, y = jax.device_put((x, y))

        def forever():
            while True:
                yield x, y

        data = forever()
    return fit(model, data, arguments.steps)


def runner(arguments):
    """A function that trains some steps as `lbreg` does."""
    from keras_lbreg.training.data import for_fit

    run = prepare(arguments)
    return fit(run.build(), for_fit(run), arguments.steps)


def fit(model, data, steps):
    def run():
        model.fit(
            data, steps_per_epoch=steps, epochs=1, verbose=0, shuffle=False
        )

    run()
    return run


def show(report):
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(report["environment"])
    gflop = report["flops"] / 1e9
    table = Table(
        title=f"F1, {report['arm']}, batch {report['batch_size']:,}: "
        f"{gflop:.1f} GFLOP a step"
    )
    for title in ("", "ms a step", "GFLOP/s", "share of the products"):
        table.add_column(title, justify="right")
    fastest = report["seconds_a_step"]["matrix products"]
    for name, seconds in report["seconds_a_step"].items():
        table.add_row(
            name,
            f"{1e3 * seconds:.1f}",
            f"{gflop / seconds:.0f}",
            f"{100 * fastest / seconds:.0f} %",
        )
    console.print(table)


if __name__ == "__main__":
    main()
