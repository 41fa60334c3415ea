"""Times variants of one thing against each other, in turns.

A group is a module with `cases(backend, quick)`, a list of `Case`s: what is
measured. How, is here alone. Groups import no backend before a variant is made.
"""

import concurrent.futures
import dataclasses
import datetime
import gc
import importlib
import itertools
import math
import multiprocessing
import os
import pathlib
import statistics
import time
from collections.abc import Callable

GROUPS = ("ghost_batch_norm", "dreg", "optimizers", "end_to_end", "startup")
# Seconds of one turn at least: shorter ones would measure the clock.
SHORTEST_TURN = 0.02


@dataclasses.dataclass(frozen=True)
class Step:
    """What is timed: a function that returns when its result is there."""

    run: Callable
    # What one call does, in numbers by name, such as `gflop`.
    counted: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Case:
    """Variants of one thing; the first is what the others are compared with.

    `variants` has, by name, functions that make a `Step`.
    """

    name: str
    variants: dict
    settings: dict
    # Virtual devices of the process.
    devices: int = 1
    memory: bool = False
    warm_up: int = 2
    rounds: tuple = (5, 25)


def find(group, name, backend, quick):
    cases = importlib.import_module(f"benchmarks.{group}").cases(backend, quick)
    return next(case for case in cases if case.name == name)


def run(groups, backend, quick, seconds, report, only=""):
    """Measures cases of the groups; `report(record)` as each one ends.

    Those whose names have `only` in them.
    """
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Two processes share a GPU while memory is measured.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    for group in groups:
        cases = importlib.import_module(f"benchmarks.{group}").cases
        chosen = [case for case in cases(backend, quick) if only in case.name]
        for devices, some in itertools.groupby(chosen, lambda x: x.devices):
            with new_process() as process:
                process.submit(divide_processor, backend, devices).result()
                for case in some:
                    place = (group, case.name, backend, quick)
                    record = process.submit(measure, *place, seconds).result()
                    # Once is enough to try it.
                    measured = list(record["variants"])[: 1 if quick else None]
                    for name in measured if case.memory else ():
                        with new_process() as other:
                            found = other.submit(peak_memory, *place, name)
                            peak = found.result()
                        record["variants"][name]["peak_mb"] = peak
                    report(record)


def new_process():
    spawn = multiprocessing.get_context("spawn")
    return concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn)


def divide_processor(backend, devices):
    """Makes the virtual devices, before the backend has done anything."""
    if devices > 1 and backend == "tensorflow":
        import tensorflow as tf

        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * devices,
        )
    elif devices > 1:
        import jax

        jax.config.update("jax_num_cpu_devices", devices)


def measure(group, name, backend, quick, seconds):
    """The record of one case, ready for JSON."""
    case, load = find(group, name, backend, quick), os.getloadavg()[0]
    least, most = (1, 1) if quick else case.rounds
    steps, failed = {}, {}
    for variant, make in case.variants.items():
        try:
            step = make()
            for _ in range(min(case.warm_up, 1) if quick else case.warm_up):
                step.run()
            steps[variant] = step
        except Exception as error:
            from keras_lbreg.formatting import reason

            failed[variant] = reason(error)
    first = next(iter(case.variants))
    if first in failed:
        steps.clear()
    times = take_turns(steps, seconds, least, most, bool(case.warm_up))
    variants = {
        variant: {
            **summary(times[variant], times[first]),
            "counted": steps[variant].counted,
        }
        for variant in steps
    }
    del steps
    gc.collect()
    return {
        "group": group,
        "case": name,
        "settings": case.settings,
        "quick": quick,
        "rounds": len(times.get(first, ())),
        "variants": variants,
        "failed": failed,
        **surroundings(load),
    }


def take_turns(steps, seconds, least, most, is_warm):
    """Seconds of a call by variant, one number a round; the order alternates.

    Slow variants have fewer rounds, fast ones several calls a turn.
    """
    calls, rounds = 1, least
    if is_warm and steps:
        once = [timed(step, 1) for step in steps.values()]
        calls = max(1, math.ceil(SHORTEST_TURN / min(once)))
        rounds = int(seconds / (calls * sum(once)))
        rounds = max(least, min(most, rounds))
    times = {name: [] for name in steps}
    for number in range(rounds):
        order = list(steps)[:: -1 if number % 2 else 1]
        for name in order:
            times[name].append(timed(steps[name], calls))
    return times


def timed(step, calls):
    start = time.perf_counter()
    for _ in range(calls):
        step.run()
    return (time.perf_counter() - start) / calls


def summary(times, reference):
    """Medians and quartiles: of the times, and of what pairs of turns say."""
    pairs = list(zip(times, reference, strict=True))
    parts = {
        "ms": [1e3 * own for own in times],
        "ratio": [own / other for own, other in pairs],
        "more_ms": [1e3 * (own - other) for own, other in pairs],
    }
    found = {}
    for name, values in parts.items():
        found[name] = statistics.median(values)
        # One value is its own quartiles.
        low, _, high = statistics.quantiles(
            [*values, *values][: max(2, len(values))], method="inclusive"
        )
        found[f"{name}_quartiles"] = [low, high]
    return found


def surroundings(load):
    """What it was measured on."""
    from keras_lbreg.training.environment import devices, environment

    found = environment()
    return {
        "date": datetime.date.today().isoformat(),
        "load": load,
        "is_accelerated": devices(found["backend"])[0] is not None,
        "environment": found,
    }


def peak_memory(group, name, backend, quick, variant):
    """Megabytes that one variant takes at most, beyond what is there before.

    In a process of its own, which nothing else has made larger.
    """
    case = find(group, name, backend, quick)
    divide_processor(backend, case.devices)
    import keras

    # What a backend loads with the first step is no variant's.
    small = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    small.compile("sgd", "mse")
    small.train_on_batch(keras.ops.ones((1, 1)), keras.ops.ones((1, 1)))
    before = resident("VmRSS")
    step = case.variants[variant]()
    step.run()
    # Compiling takes more than a step does.
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    step.run()
    if backend == "jax":
        import jax

        found = jax.local_devices()[0].memory_stats()
        if found:
            return found["peak_bytes_in_use"] / 2**20
    return resident("VmHWM") - before


def resident(field):
    """Megabytes of this process: `VmRSS` now, `VmHWM` at most (Linux)."""
    status = pathlib.Path("/proc/self/status").read_text()
    line = next(x for x in status.splitlines() if x.startswith(field))
    return int(line.split()[1]) / 2**10
