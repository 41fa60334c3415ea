"""Trajectories that the workers of a cluster follow together.

Each function takes the strategy, or None for one process.
"""

import functools
import os
import pathlib

from keras_lbreg.data import load_dataset
from keras_lbreg.data.prepared import find_prepared
from tests.checks import trajectories as t

MNIST = pathlib.Path(
    os.environ.get("LBREG_DATA_DIR")
    or pathlib.Path(__file__).parents[3] / "shared" / "tfds"
)
# Divided evenly by 2, 3 and 4 replicas; their parts by ghosts of 4.
BATCH = 48


@functools.cache
def digits():
    return t.batches_of(load_dataset("digits"), BATCH)


def has_mnist():
    return find_prepared("mnist", MNIST) is not None


def mnist():
    return t.batches_of(load_dataset("mnist", MNIST), BATCH)


def momentum(strategy):
    return t.trajectory(digits(), strategy=strategy)


def clip(strategy):
    return t.trajectory(digits(), t.clip, strategy=strategy)


def noise(strategy):
    return t.trajectory(digits(), t.noise, strategy=strategy)


def lars(strategy):
    return t.trajectory(digits(), t.lars, strategy=strategy)


def accumulation(strategy):
    return t.trajectory(digits(), t.accumulation, strategy=strategy)


def mix(strategy):
    return t.trajectory(digits(), t.mix, strategy=strategy)


def norm(strategy):
    return t.trajectory(digits(), make_model=t.with_norm, strategy=strategy)


def ghosts(strategy):
    return t.trajectory(digits(), make_model=t.with_ghosts, strategy=strategy)


def both_paths(strategy):
    return t.trajectory(digits(), make_model=t.both_paths, strategy=strategy)


def split_paths(strategy):
    return t.trajectory(digits(), make_model=t.split_paths, strategy=strategy)


def everything(strategy, batches=None):
    return t.trajectory(
        batches or digits(),
        functools.partial(t.everything, t.mix),
        t.all_techniques,
        strategy,
    )


def everything_on_groups(groups, batches=None):
    return t.trajectory(
        batches or digits(), t.everything, t.all_techniques, groups=groups
    )


def everything_on_mnist(strategy):
    return everything(strategy, mnist())
