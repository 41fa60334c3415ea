"""Measures how far several replicas move away from one device.

    python -m benchmarks.trajectories

Twenty updates of a small network on scikit-learn's digits, batch 48, float32:
the largest difference of any parameter after any update from one device with
the same global batch, for virtual replicas of one process and for processes of
this machine. `tests/distribute` holds the same to 1e-5.
"""

import argparse
import functools
import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

REPLICAS = (2, 4, 8)
WORKERS = (2, 3)


def main():
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    ).parse_args()
    import numpy as np
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * max(REPLICAS),
    )
    from tests.checks import cluster_trajectories as c
    from tests.checks import trajectories as t
    from tests.checks.cluster import run_cluster
    from tests.checks.replicas import mirrored_strategy

    rows = {
        "SGD": c.momentum,
        "global clip": c.clip,
        "`GradientNoise`": c.noise,
        "`LARS`": c.lars,
        "accumulation, 2 steps, with a clip": c.accumulation,
        "`GradientMix`": c.mix,
        "ghost batch normalization": c.ghosts,
        "DReg, both paths": c.both_paths,
        "all together": c.everything,
        "plain batch normalization": c.norm,
    }

    @functools.cache
    def alone(function, groups):
        if function is c.mix:
            return t.trajectory(c.digits(), groups=groups)
        if function is c.everything:
            return c.everything_on_groups(groups)
        return function(None)

    def difference(points, function, groups):
        ours = alone(
            function, groups if function in (c.mix, c.everything) else 1
        )
        return float(np.abs(points - ours).max())

    def on_replicas(count):
        # Ghosts of 4 do not divide the 6 samples of each of 8 replicas.
        possible = [
            function
            for function in rows.values()
            if (c.BATCH // count) % 4 == 0
            or function not in (c.ghosts, c.everything)
        ]
        return {
            function: difference(
                function(mirrored_strategy(count)), function, count
            )
            for function in possible
        }

    def on_workers(count):
        results = run_cluster(*rows.values(), workers=count)
        return {
            function: max(
                difference(result[function.__name__], function, count)
                for result in results
            )
            for function in rows.values()
        }

    columns = {f"{n} replicas": on_replicas(n) for n in REPLICAS}
    columns |= {f"{n} processes": on_workers(n) for n in WORKERS}
    print("| | " + " | ".join(columns) + " |")
    print("| --- |" + " --: |" * len(columns))
    for title, function in rows.items():
        values = [column.get(function) for column in columns.values()]
        cells = ["–" if v is None else f"{v:.1e}" for v in values]
        print(f"| {title} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
