"""A program that tunes a small workload, for tests that start and kill it."""

import json
import sys

import keras

import keras_lbreg as lbreg
from tests.tuning.small_network import small_data, small_network


def tune(out, **arguments):
    workload = lbreg.Workload(
        small_network,
        small_data(40),
        small_data(40, seed=1),
        lbreg.Regime(4, 0.05, epochs=2),
        batch_size=16,
    )
    arguments = {
        "trials": 3,
        "techniques": ["ghost_batch_norm"],
        "confirm_seeds": 0,
        "progress": False,
        **arguments,
    }
    return lbreg.tune(workload, out=out, **arguments)


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    result = tune(sys.argv[1], **json.loads(sys.argv[2]))
    print(result.headline())
