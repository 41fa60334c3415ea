"""Kills a search at every write of a file, and lets it go on each time.

A program of its own, on Keras's NumPy backend: KerasTuner is imported once,
each search is a fork, a trial is a sum. Prints one JSON object.
"""

import functools
import itertools
import json
import os
import pathlib
import shutil
import signal
import sys
import traceback

os.environ["KERAS_BACKEND"] = "numpy"

import keras_lbreg.files as files
from tests.tuning.sums import add, make_tuner

TRIALS = 4
ENDED = ("COMPLETED", "FAILED")


def search(engine, folder, write=None):
    """A search that is killed instead of its `write`-th write of a file."""
    count = 0
    replace = os.replace

    def deadly(source, target):
        nonlocal count
        count += 1
        if count == write:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    def run(values):
        with open(folder / "ran.txt", "a") as file:
            file.write(f"{sorted(values.items())}\n")
        if len(tuner.oracle.trials) == 3:
            raise ValueError("no such sum")
        return add(values)

    files.os.replace = deadly
    tuner = make_tuner(
        folder,
        engine,
        run,
        trials=TRIALS,
        seed=3,
        control=lambda values: {"x": values["x"], "y": 0},
    )
    tuner.search()


def outcome(folder):
    """Status, values and score of the trials."""
    trials = {}
    for path in sorted((folder / "search").glob("trial_*/trial.json")):
        state = json.loads(path.read_text())
        values = state["hyperparameters"]["values"]
        trials[path.parent.name] = [state["status"], values, state["score"]]
    return trials


def in_child(function):
    """Whether a fork that calls `function` was killed."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            function()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0, "the search raised"
    return False


def check(engine, root):
    """The number of kills that changed nothing."""
    whole = root / "whole"
    whole.mkdir(parents=True)
    assert not in_child(functools.partial(search, engine, whole))
    expected = outcome(whole)
    assert {status for status, *_ in expected.values()} == {*ENDED}, expected
    assert len(expected) == TRIALS
    # A Gaussian process takes its time.
    for kills in itertools.count():
        write = 1 + kills * (11 if engine == "bayesian" else 1)
        folder = root / f"killed-{write}"
        folder.mkdir()
        if not in_child(functools.partial(search, engine, folder, write)):
            return kills
        before = outcome(folder)
        log = folder / "ran.txt"
        log.unlink(missing_ok=True)
        assert not in_child(functools.partial(search, engine, folder))
        ran = log.read_text().splitlines() if log.is_file() else []
        place = f"{engine}, killed at write {write}"
        assert len(set(ran)) == len(ran), f"{place}: twice {ran}"
        ended = [
            f"{sorted(values.items())}"
            for status, values, _ in before.values()
            if status in ENDED
        ]
        assert not {*ended} & {*ran}, f"{place}: {ended} again, {ran}"
        found = outcome(folder)
        assert found == expected, f"{place}: {found} not {expected}"
        shutil.rmtree(folder)
    return None


if __name__ == "__main__":
    root = pathlib.Path(sys.argv[1])
    print(json.dumps({name: check(name, root / name) for name in sys.argv[2:]}))
