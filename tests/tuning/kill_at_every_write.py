"""Kills a search at every write of a file, and lets it go on each time.

A program of its own, on Keras's NumPy backend: KerasTuner is imported once,
each search is a fork, a trial is a sum. Prints one JSON object.
"""

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


def make(engine, folder):
    kind, _ = resumable.ENGINES[engine]

    class Sum(kind):
        def run_trial(self, trial, *args, **kwargs):
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

    return resumable.make_tuner(
        engine,
        None,
        keras_tuner.Objective("val_sum", "max"),
        folder,
        trials=5,
        epochs=4,
        seed=3,
        control=lambda values: {"x": values["x"], "y": 0},
        tuner_class=Sum,
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


def search(engine, folder, write=None, after=False):
    count = 0
    replace = os.replace

    def deadly(source, target):
        nonlocal count
        count += 1
        if count == write and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)
        if count == write:
            os.kill(os.getpid(), signal.SIGKILL)

    files.os.replace = deadly
    make(engine, folder).search()


def check(engine, root):
    whole = root / "whole"
    whole.mkdir(parents=True)
    assert not in_child(lambda: search(engine, whole))
    expected = outcome(whole)
    assert len(expected) == 5, expected
    kills = 0
    for write in range(1, 1000):
        ended = False
        for after in (False, True):
            folder = root / f"{write}-{after}"
            folder.mkdir()
            if not in_child(
                lambda f=folder, a=after: search(engine, f, write, a)
            ):
                ended = True
                continue
            kills += 1
            before = outcome(folder)
            (folder / "ran.txt").unlink(missing_ok=True)
            assert not in_child(lambda f=folder: search(engine, f))
            ran = folder / "ran.txt"
            ran = ran.read_text().split() if ran.is_file() else []
            place = f"{engine}, write {write}, after={after}"
            assert len(set(ran)) == len(ran), f"{place}: twice {ran}"
            again = [
                key
                for key, (status, _, _) in before.items()
                if status in ("COMPLETED", "FAILED") and key in ran
            ]
            assert not again, f"{place}: again {again}"
            found = outcome(folder)
            assert found == expected, f"{place}: {found} not {expected}"
            shutil.rmtree(folder)
        if ended:
            return kills
    raise AssertionError("it never ended")


if __name__ == "__main__":
    root = pathlib.Path(sys.argv[1])
    print(json.dumps({name: check(name, root / name) for name in sys.argv[2:]}))
