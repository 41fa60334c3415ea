"""A program that tunes a small workload, for tests that start and kill it."""

import json
import sys

import keras_lbreg as lbreg
from tests.tuning.small_network import small_data, small_network


def workload_of(learning_rate=0.05):
    return lbreg.Workload(
        small_network,
        small_data(40),
        small_data(40, seed=1),
        lbreg.Regime(4, learning_rate, epochs=2),
        batch_size=16,
    )


def tune(out, learning_rate=0.05, **arguments):
    arguments = {
        "trials": 3,
        "techniques": ["ghost_batch_norm"],
        "confirm_seeds": 0,
        "progress": False,
        **arguments,
    }
    return lbreg.tune(workload_of(learning_rate), out=out, **arguments)


if __name__ == "__main__":
    print(tune(sys.argv[1], **json.loads(sys.argv[2])).headline())
