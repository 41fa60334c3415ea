"""Does training several seeds in one JAX program pay?

    KERAS_BACKEND=jax python benchmarks/seeds_in_one_program.py

The same training step of the same network for S seeds: one after another, and
all at once, vectorised over the seeds by `jax.vmap`. Both are compiled, take
turns, and begin with the same values; the ratio is the median over the turns.
Two networks: that of `lbreg compare digits` at its batches of 16 and 512, which
has little to compute, and F1 at 4,096, which is bounded by its matrix products.
"""

import argparse
import json
import os
import pathlib
import statistics
import time

import numpy as np

CASES = {
    "digits, batch 16": ((8, 8, 1), (128, 128), 16, 200),
    "digits, batch 512": ((8, 8, 1), (128, 128), 512, 50),
    "F1, batch 128": ((28, 28, 1), (512,) * 5, 128, 20),
    "F1, batch 4,096": ((28, 28, 1), (512,) * 5, 4096, 2),
}


def main():
    arguments = parse_arguments()
    os.environ["KERAS_BACKEND"] = "jax"
    from keras_lbreg.training.environment import environment

    report = {
        "environment": environment(),
        "seeds": arguments.seeds,
        "cases": {
            name: measure(*case, arguments) for name, case in CASES.items()
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
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--json", type=pathlib.Path, help="file to write")
    return parser.parse_args()


def measure(shape, widths, batch, steps, arguments):
    """Milliseconds of a step of all seeds, both ways."""
    import jax
    import keras

    from keras_lbreg.workloads.networks import fully_connected

    generator = np.random.default_rng(0)
    x = generator.random((batch, *shape), "float32")
    y = np.arange(batch) % 10
    models = []
    for seed in range(arguments.seeds):
        keras.utils.set_random_seed(seed)
        models.append(
            fully_connected(shape, "float32", 10, ([0.5], [0.08]), widths)
        )
    model = models[0]
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    optimizer.build(model.trainable_variables)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(state, x, y):
        trained, frozen, slots = state

        def objective(trained):
            predicted, changed = model.stateless_call(
                trained, frozen, x, training=True
            )
            return loss(y, predicted), changed

        (value, changed), gradients = jax.value_and_grad(
            objective, has_aux=True
        )(trained)
        trained, slots = optimizer.stateless_apply(slots, gradients, trained)
        return (trained, changed, slots), value

    def values(model):
        return (
            [v.value for v in model.trainable_variables],
            [v.value for v in model.non_trainable_variables],
            [v.value for v in optimizer.variables],
        )

    one = jax.jit(step)
    every = jax.jit(jax.vmap(step, in_axes=(0, None, None)))
    apart = [values(model) for model in models]
    together = jax.tree.map(lambda *leaves: np.stack(leaves), *apart)

    def in_turn():
        states = apart
        for _ in range(steps):
            states = [one(state, x, y)[0] for state in states]
        jax.block_until_ready(states)

    def at_once():
        state = together
        for _ in range(steps):
            state, _ = every(state, x, y)
        jax.block_until_ready(state)

    times = {"in_turn": [], "at_once": []}
    for run in (in_turn, at_once):
        run()
    for _ in range(arguments.turns):
        for name, run in (("in_turn", in_turn), ("at_once", at_once)):
            start = time.perf_counter()
            run()
            times[name].append(1e3 * (time.perf_counter() - start) / steps)
    ratios = [
        b / a for a, b in zip(times["in_turn"], times["at_once"], strict=True)
    ]
    return {
        "in_turn_ms": statistics.median(times["in_turn"]),
        "at_once_ms": statistics.median(times["at_once"]),
        "ratio": statistics.median(ratios),
        "ratio_range": [min(ratios), max(ratios)],
    }


def show(report):
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(report["environment"])
    table = Table(title=f"A step of {report['seeds']} seeds")
    for title in ("", "in turn, ms", "at once, ms", "ratio", "range"):
        table.add_column(title, justify="right")
    for name, case in report["cases"].items():
        low, high = case["ratio_range"]
        table.add_row(
            name,
            f"{case['in_turn_ms']:.2f}",
            f"{case['at_once_ms']:.2f}",
            f"{case['ratio']:.2f}",
            f"{low:.2f} to {high:.2f}",
        )
    console.print(table)


if __name__ == "__main__":
    main()
