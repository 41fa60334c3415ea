"""A worker is missing, doubled or dies: the others say so soon."""

import functools
import json
import socket
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


def said(arguments, configs):
    """What each process says when it makes the strategy."""
    command = ["-m", "tests.checks.cluster_start"]
    texts = run_processes(
        [[*command, *words.split()] for words in arguments],
        configs,
        LONGEST_RUN,
    )
    lines = []
    for text in texts:
        [line] = [x for x in text.splitlines() if x.startswith("said ")]
        lines.append(line.removeprefix("said "))
    return lines


def address(config, index):
    return json.loads(config)["cluster"]["worker"][index]


@pytest.mark.slow
def test_a_cluster_that_cannot_begin():
    """Five processes, none of which has to do with another."""
    alone, other, taken, late = (tf_configs(2) for _ in range(4))
    port = int(address(taken[0], 0).rpartition(":")[2])
    with socket.create_server(("", port)):
        lines = said(
            ["5", "5", "5", "5 before", "5 before"],
            [alone[0], other[1], taken[0], late[0], "{}"],
        )
    nobody, chief, port_in_use, too_late, too_late_alone = lines
    assert nobody.startswith("TimeoutError: The cluster is not complete: ")
    where = address(alone[0], 1)
    assert f"worker 1 ({where}) did not start within 5 s" in nobody
    assert chief.startswith("TimeoutError")
    assert f"worker 0 ({address(other[0], 0)}) did not answer" in chief
    assert port_in_use.startswith("OSError: Worker 0 cannot listen at ")
    assert too_late.startswith("RuntimeError: TensorFlow is already running")
    assert too_late_alone == "nothing"


@pytest.mark.slow
def test_two_workers_with_one_index():
    """On two hosts: the second has a port that the others do not know."""
    configs = tf_configs(2)
    second = json.loads(configs[1])
    [elsewhere] = json.loads(tf_configs(1)[0])["cluster"]["worker"]
    second["cluster"]["worker"][1] = elsewhere
    lines = said(["30 60"] * 3, [*configs, json.dumps(second)])
    # Before all have met, as they meet, or when they train.
    twice = (
        "Two workers are worker 1",
        "The workers do not fit together",
        "a different incarnation",
    )
    told = [any(text in line for text in twice) for line in lines]
    assert any(told), lines
    # Who comes when the others have met is the only one to hear of it.
    if lines.count("nothing") == 2:
        return
    for line in lines:
        assert "worker 0 (" not in line or "did not answer" in line, lines
        assert line.startswith(
            ("ValueError", "AbortedError", "TimeoutError")
        ), lines


def run(folder, kill=()):
    """Starts all workers; returns their output and the seconds it took."""
    command = ["-m", "tests.checks.resume_worker", str(folder)]
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
    assert "exit status -9" in texts[killed]
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
