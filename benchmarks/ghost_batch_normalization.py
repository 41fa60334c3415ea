"""Times a training step of ghost against plain batch normalization.

    python benchmarks/ghost_batch_normalization.py --backend tensorflow
    python benchmarks/ghost_batch_normalization.py --backend jax --json out.json
    python benchmarks/ghost_batch_normalization.py --quick

A step is one layer's forward and backward pass, moving statistics included.
The two layers take turns, so that whatever else the machine does meets both;
the ratio is the median over the turns. With TensorFlow, the batch size is once
known while tracing ("static": the data are divided by it, or `drop_remainder`)
and once not ("dynamic"). JAX always knows it.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import time

# Shape and ghost batch size.
GRID = [
    ((1024, 16, 16, 64), 128),
    ((512, 7, 7, 512), 64),
    ((4096, 512), 128),
    ((1024, 256), 64),
]
QUICK_GRID = [((256, 8, 8, 64), 64), ((1024, 256), 64)]


def main():
    arguments = parse_arguments()
    os.environ["KERAS_BACKEND"] = arguments.backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    modes = ["graph", "xla"] if arguments.backend == "tensorflow" else ["jit"]
    sizes = [True, False] if arguments.backend == "tensorflow" else [True]
    grid = QUICK_GRID if arguments.quick else GRID
    if arguments.shape:
        grid = [(tuple(arguments.shape), arguments.ghost_batch_size)]
    results = [
        measure(shape, size, dtype, mode, static, arguments)
        for shape, size in grid
        for dtype in arguments.dtype
        for mode in modes
        for static in sizes
    ]
    report = {"environment": describe_environment(), "results": results}
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
    parser.add_argument(
        "--quick", action="store_true", help="two small shapes, a minute"
    )
    parser.add_argument(
        "--shape", type=int, nargs="+", help="one shape, batch axis first"
    )
    parser.add_argument(
        "--ghost-batch-size", type=int, default=128, help="with --shape"
    )
    parser.add_argument(
        "--dtype",
        nargs="+",
        choices=["float32", "bfloat16", "float16"],
        default=["float32"],
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turns", type=int, default=8, help="in each round")
    parser.add_argument("--json", type=pathlib.Path, help="file to write")
    return parser.parse_args()


def measure(shape, ghost_batch_size, dtype, mode, static, arguments):
    """Times of both layers in one mode, in milliseconds."""
    import keras

    from keras_lbreg.layers import GhostBatchNormalization

    policy = dtype if dtype == "float32" else f"mixed_{dtype}"
    layers = {
        "keras": keras.layers.BatchNormalization(dtype=policy),
        "ghost": GhostBatchNormalization(
            ghost_batch_size=ghost_batch_size, dtype=policy
        ),
    }
    x, upstream = (
        keras.random.normal(shape, seed=seed, dtype=dtype) for seed in (0, 1)
    )
    steps = {}
    for name, layer in layers.items():
        layer.build((None, *shape[1:]))
        make_step = jax_step if mode == "jit" else tensorflow_step
        steps[name] = make_step(layer, x, mode, static)
        for _ in range(3):
            steps[name](x, upstream)
    times = {name: [] for name in steps}
    for _ in range(arguments.rounds * arguments.turns):
        for name, step in steps.items():
            start = time.perf_counter()
            step(x, upstream)
            times[name].append(1e3 * (time.perf_counter() - start))
    ratios = [
        ghost / plain
        for plain, ghost in zip(times["keras"], times["ghost"], strict=True)
    ]
    rounds = [
        statistics.median(ratios[i : i + arguments.turns])
        for i in range(0, len(ratios), arguments.turns)
    ]
    return {
        "mode": mode,
        "batch_size": "static" if static else "dynamic",
        "shape": shape,
        "dtype": dtype,
        "ghost_batch_size": ghost_batch_size,
        "keras_ms": statistics.median(times["keras"]),
        "ghost_ms": statistics.median(times["ghost"]),
        "ratio": statistics.median(ratios),
        "ratio_range_over_rounds": [min(rounds), max(rounds)],
    }


def tensorflow_step(layer, x, mode, static):
    import tensorflow as tf

    shape = x.shape if static else (None, *x.shape[1:])
    spec = tf.TensorSpec(shape, x.dtype)

    @tf.function(input_signature=[spec, spec], jit_compile=mode == "xla")
    def step(x, upstream):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        sources = [x, layer.gamma.value, layer.beta.value]
        return y, tape.gradient(y, sources, output_gradients=upstream)

    def timed(x, upstream):
        _, (dx, _, _) = step(x, upstream)
        # On a GPU, execution is asynchronous until a value is asked for.
        return float(dx[(0,) * len(x.shape)])

    return timed


def jax_step(layer, x, mode, static):
    import jax

    frozen = [v.value for v in layer.non_trainable_variables]
    trainable = [v.value for v in layer.trainable_variables]

    @jax.jit
    def step(x, upstream, trainable, frozen):
        def forward(trainable, x):
            return layer.stateless_call(trainable, frozen, x, training=True)

        y, backward, updated = jax.vjp(forward, trainable, x, has_aux=True)
        return y, backward(upstream), updated

    def timed(x, upstream):
        return jax.block_until_ready(step(x, upstream, trainable, frozen))

    return timed


def describe_environment():
    import keras

    backend = keras.backend.backend()
    if backend == "jax":
        import jax as library

        devices = [str(device) for device in library.devices()]
    else:
        import tensorflow as library

        devices = [d.name for d in library.config.list_physical_devices()]
    return {
        "date": datetime.date.today().isoformat(),
        "keras": keras.__version__,
        backend: library.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "devices": devices,
    }


def show(report):
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(
        ", ".join(f"{k} {v}" for k, v in report["environment"].items())
    )
    table = Table(title="Training step of one layer")
    for title in ("shape", "ghosts of", "dtype", "mode", "batch size"):
        table.add_column(title)
    for title in ("keras, ms", "ghost, ms", "ratio", "rounds"):
        table.add_column(title, justify="right")
    for result in report["results"]:
        low, high = result["ratio_range_over_rounds"]
        table.add_row(
            "x".join(map(str, result["shape"])),
            f"{result['ghost_batch_size']}",
            result["dtype"],
            result["mode"],
            result["batch_size"],
            f"{result['keras_ms']:.1f}",
            f"{result['ghost_ms']:.1f}",
            f"{result['ratio']:.2f}",
            f"{low:.2f} to {high:.2f}",
        )
    console.print(table)


if __name__ == "__main__":
    main()
