"""One infinite gradient, and what a `LossScaleOptimizer` makes of it."""

import keras
import numpy as np

from tests.checks.replicas import BATCH, regression_data


def loss_scale_log(rows):
    """Appends scale, finite steps in a row and completed updates."""

    def log(optimizer):
        rows.append(
            tuple(
                float(keras.ops.convert_to_numpy(value))
                for value in (
                    optimizer.dynamic_scale,
                    optimizer.step_counter,
                    optimizer.iterations,
                )
            )
        )

    return log


def data_with_infinite_target(sample):
    x, y = regression_data()
    y[BATCH + sample] = np.inf  # in the second of four batches
    return x, y
