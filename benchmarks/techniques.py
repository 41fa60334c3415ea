"""Times a training step of C1 with each technique against one without.

    python benchmarks/techniques.py --backend tensorflow
    python benchmarks/techniques.py --backend jax --json out.json

Every technique of the register that changes a step is measured by itself.
The plain model and the changed one take turns, so that whatever else the
machine does meets both; the ratio is the median over the turns. These are the
costs in the README's table.
"""

import argparse
import json
import os
import pathlib
import statistics
import time

import numpy as np


def main():
    arguments = parse_arguments()
    os.environ["KERAS_BACKEND"] = arguments.backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from keras_lbreg.techniques import TECHNIQUES
    from keras_lbreg.training.environment import environment

    results = [
        measure(technique, arguments)
        for technique in TECHNIQUES
        if technique.model or technique.optimizer or technique.data
    ]
    report = {
        "environment": environment(),
        "batch_size": arguments.batch_size,
        "results": results,
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
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--json", type=pathlib.Path, help="file to write")
    return parser.parse_args()


def measure(technique, arguments):
    """Seconds of a step without and with the technique, in turns."""
    steps = {
        "plain": make_step(None, arguments.batch_size),
        "changed": make_step(technique, arguments.batch_size),
    }
    times = {name: [] for name in steps}
    for _ in range(arguments.turns):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - start)
    ratios = [
        changed / plain
        for plain, changed in zip(times["plain"], times["changed"], strict=True)
    ]
    return {
        "technique": technique.name,
        "title": technique.title,
        "plain_s": statistics.median(times["plain"]),
        "changed_s": statistics.median(times["changed"]),
        "ratio": statistics.median(ratios),
        "ratio_range": [min(ratios), max(ratios)],
    }


def make_step(technique, batch_size):
    """A function that trains C1 on one batch, compiled already."""
    import keras

    from keras_lbreg.techniques import Context
    from keras_lbreg.workloads.networks import c1

    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    x = random.random((batch_size, 32, 32, 3), "float32")
    y = np.arange(batch_size) % 10
    model = c1((32, 32, 3), "float32", 10, ([0.5] * 3, [0.08] * 3))
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    batches = [(x, y)]
    if technique is not None:
        hp = technique.hyperparameters()
        context = Context(seed=0, base_batch_size=128, batch_size=batch_size)
        if technique.model:
            model = technique.model(model, hp, context)
        if technique.optimizer:
            optimizer = technique.optimizer(optimizer, hp, context)
        if technique.data:
            batches = technique.data(batches, hp, context)
    model.compile(
        optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    batch = next(iter(batches))

    def step():
        model.train_on_batch(*batch)

    for _ in range(2):
        step()
    return step


def show(report):
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(report["environment"])
    table = Table(title=f"Training step of C1 at batch {report['batch_size']}")
    for title in ("technique", "plain, ms", "with it, ms", "ratio", "range"):
        table.add_column(title, justify="right")
    for result in report["results"]:
        low, high = result["ratio_range"]
        table.add_row(
            result["title"],
            f"{1e3 * result['plain_s']:.0f}",
            f"{1e3 * result['changed_s']:.0f}",
            f"{result['ratio']:.2f}",
            f"{low:.2f} to {high:.2f}",
        )
    console.print(table)


if __name__ == "__main__":
    main()
