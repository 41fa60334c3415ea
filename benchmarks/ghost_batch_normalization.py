"""Times a training step of ghost against plain batch normalization.

    python benchmarks/ghost_batch_normalization.py --backend tensorflow
    python benchmarks/ghost_batch_normalization.py --backend jax --json out.json

A step is one layer's forward and backward pass, moving statistics included.
The two layers take turns, so that whatever else the machine does meets both;
the ratio is the median over the turns. On an idle machine, ghosts should take
at most 0.7 of the time in TensorFlow's graph mode on a CPU, and at most 1.05
under XLA, for the default shape.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import time

SHAPE = (1024, 16, 16, 64)
LIMITS = {"graph": 0.7, "xla": 1.05, "jit": 1.05}


def main():
    arguments = parse_arguments()
    os.environ["KERAS_BACKEND"] = arguments.backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    modes = ["graph", "xla"] if arguments.backend == "tensorflow" else ["jit"]
    results = [measure(mode, arguments) for mode in modes]
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
        "--shape", type=int, nargs="+", default=SHAPE, help="batch axis first"
    )
    parser.add_argument("--ghost-batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turns", type=int, default=8, help="in each round")
    parser.add_argument("--json", type=pathlib.Path, help="file to write")
    return parser.parse_args()


def measure(mode, arguments):
    """Times of both layers in one mode, in milliseconds."""
    import keras

    from keras_lbreg.layers import GhostBatchNormalization

    shape = tuple(arguments.shape)
    layers = {
        "keras": keras.layers.BatchNormalization(),
        "ghost": GhostBatchNormalization(
            ghost_batch_size=arguments.ghost_batch_size
        ),
    }
    x, upstream = (keras.random.normal(shape, seed=seed) for seed in (0, 1))
    steps = {}
    for name, layer in layers.items():
        layer.build((None, *shape[1:]))
        make_step = jax_step if mode == "jit" else tensorflow_step
        steps[name] = make_step(layer, shape, mode)
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
        "shape": shape,
        "ghost_batch_size": arguments.ghost_batch_size,
        "keras_ms": statistics.median(times["keras"]),
        "ghost_ms": statistics.median(times["ghost"]),
        "ratio": statistics.median(ratios),
        "ratio_range_over_rounds": [min(rounds), max(rounds)],
    }


def tensorflow_step(layer, shape, mode):
    import tensorflow as tf

    # The batch size is unknown while tracing, as it is in `fit`.
    spec = tf.TensorSpec((None, *shape[1:]), tf.float32)

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
        return float(dx[(0,) * len(shape)])

    return timed


def jax_step(layer, shape, mode):
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
    first = report["results"][0]
    table = Table(
        title=f"Training step at {'x'.join(map(str, first['shape']))}, ghost "
        f"batches of {first['ghost_batch_size']}"
    )
    for title in ("mode", "keras, ms", "ghost, ms", "ratio", "rounds", "aim"):
        table.add_column(title, justify="right")
    for result in report["results"]:
        low, high = result["ratio_range_over_rounds"]
        table.add_row(
            result["mode"],
            f"{result['keras_ms']:.1f}",
            f"{result['ghost_ms']:.1f}",
            f"{result['ratio']:.3f}",
            f"{low:.3f} to {high:.3f}",
            f"{LIMITS[result['mode']]}",
        )
    console.print(table)


if __name__ == "__main__":
    main()
