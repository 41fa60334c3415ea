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

import keras_tuner

import keras_lbreg.files as files
from keras_lbreg.tuning import resumable

TRIALS = 4
ENDED = ("COMPLETED", "FAILED")
ENGINES = dict(resumable.ENGINES)


def make(engine, folder):
    kind, oracle = ENGINES[engine]

    class Sum(kind):
        def _build_and_fit_model(self, trial, **kwargs):
            values = trial.hyperparameters.values
            with open(folder / "ran.txt", "a") as file:
                file.write(f"{trial.trial_id}\n")
            if trial.trial_id.endswith("2"):
                raise ValueError("no such sum")
            return {"val_sum": sum(values[name] for name in "xy")}

        def _populate_initial_space(self):
            hp = self.oracle.get_space()
            hp.Float("x", 0.0, 1.0)
            hp.Choice("y", [0, 1])
            with hp.conditional_scope("y", [1]):
                hp.Int("z", 1, 3)
            self.oracle.update_space(hp)

    resumable.ENGINES[engine] = Sum, oracle
    return resumable.make_tuner(
        engine,
        keras_tuner.HyperModel(),
        keras_tuner.Objective("val_sum", "max"),
        folder,
        trials=TRIALS,
        epochs=4,
        seed=3,
        control=lambda values: {"x": values["x"], "y": 0},
    )


def outcome(folder):
    trials = {}
    for path in sorted((folder / "search").glob("trial_*/trial.json")):
        state = json.loads(path.read_text())
        trials[state["trial_id"]] = [
            state["status"],
            state["hyperparameters"]["values"],
            state["score"],
        ]
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
            sys.stdout.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0, "the search raised"
    return False


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

    files.os.replace = deadly
    make(engine, folder).search()


def check(engine, root):
    """The number of kills that changed nothing."""
    whole = root / "whole"
    whole.mkdir(parents=True)
    assert not in_child(lambda: search(engine, whole))
    expected = outcome(whole)
    assert len(expected) == TRIALS, expected
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
        ran = log.read_text().split() if log.is_file() else []
        place = f"{engine}, killed at write {write}"
        assert len(set(ran)) == len(ran), f"{place}: twice {ran}"
        ended = {k for k, (status, *_) in before.items() if status in ENDED}
        assert not ended & set(ran), f"{place}: {ended} again, {ran}"
        found = outcome(folder)
        assert found == expected, f"{place}: {found} not {expected}"
        shutil.rmtree(folder)
    return None


if __name__ == "__main__":
    root = pathlib.Path(sys.argv[1])
    print(json.dumps({name: check(name, root / name) for name in sys.argv[2:]}))
