"""A worker dies: the others say so soon, and a second start goes on."""

import functools
import sys
import time

import numpy as np
import pytest

from tests.checks.cluster import run_processes, tf_configs

pytestmark = pytest.mark.tensorflow

WORKERS = 2

# What each run is told to kill: nobody, worker 1 or the chief, in epoch 2.
KILLS = {"undisturbed": (), "worker": (1, 2), "chief": (0, 2)}
KILLED = ["worker", pytest.param("chief", marks=pytest.mark.slow)]

# TensorFlow notices after `heartbeat_timeout`, 10 s; starting takes the rest.
LONGEST_RUN = 120


def run(folder, kill=()):
    """Starts all workers; returns their output and the seconds it took."""
    command = [sys.executable, "-m", "tests.checks.resume_worker", str(folder)]
    start = time.monotonic()
    texts = run_processes(
        [[*command, *map(str, kill)]] * WORKERS,
        tf_configs(WORKERS),
        LONGEST_RUN,
    )
    return texts, time.monotonic() - start


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {name: tmp_path_factory.mktemp(name) for name in KILLS}


@pytest.fixture(scope="module")
def outcome(folders):
    """The first run of a name, which is made once."""
    return functools.cache(lambda name: run(folders[name], KILLS[name]))


@pytest.fixture(scope="module")
def second_start(folders):
    return functools.cache(lambda name: run(folders[name]))


def test_an_undisturbed_run_ends_well(outcome, folders):
    texts, _ = outcome("undisturbed")
    assert all("exit status 0" in text for text in texts), texts
    assert all("epochs [0, 1, 2, 3]" in text for text in texts), texts
    # What is finished leaves no backup behind.
    assert not list(folders["undisturbed"].glob("*backup*"))


@pytest.mark.parametrize("name", KILLED)
def test_a_killed_worker_ends_the_others_with_an_error(outcome, name):
    texts, seconds = outcome(name)
    killed = KILLS[name][0]
    assert "exit status -9" in texts[killed] or "137" in texts[killed]
    other = texts[1 - killed]
    assert "UnavailableError" in other, other
    # It says which worker is gone.
    assert f"/task:{killed}" in other, other
    assert seconds < LONGEST_RUN


@pytest.mark.parametrize("name", KILLED)
def test_the_same_command_goes_on_from_the_last_epoch(
    outcome, second_start, folders, name
):
    for first in ("undisturbed", name):
        outcome(first)
    texts, _ = second_start(name)
    assert all("exit status 0" in text for text in texts), texts
    assert all("epochs [2, 3]" in text for text in texts), texts
    # Only the chief wrote a backup, and it is gone now.
    assert not list(folders[name].glob("*backup*"))
    for worker in range(WORKERS):
        np.testing.assert_array_equal(
            np.load(folders[name] / f"weights-{worker}.npy"),
            np.load(folders["undisturbed"] / "weights-0.npy"),
        )
