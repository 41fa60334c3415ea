"""Imports, the time to the first step, and where the seconds of commands go.

Each is a process of its own.
"""

import contextlib
import functools
import importlib
import json
import pathlib
import subprocess
import sys
import tempfile
import time

from benchmarks.end_to_end import TECHNIQUES
from benchmarks.harness import Case, Step

ROOT = pathlib.Path(__file__).parents[1]
IMPORTS = ("keras", "keras_lbreg")
COMMANDS = ("compare", "tune")
# What counts as what. The time of one in another one is the inner one's.
PHASES = """
data keras_lbreg.comparison.compare:get_workload
data keras_lbreg.tuning.tune:get_workload
build keras_lbreg.comparison.compare:examine
build keras_lbreg.tuning.hyper_model:examine
build keras_lbreg.training.run:Run.build
trace keras_lbreg.training.run:Run.prepare
train keras_lbreg.training.run:Run.fit
evaluate keras:Model.evaluate
evaluate keras_lbreg:ReestimateBatchNormalization._reestimate
write keras.callbacks:TensorBoard.set_model
write keras.callbacks:TensorBoard.on_epoch_end
write keras_lbreg.training.records:Recorder.on_epoch_end
write keras_lbreg:MultiWorkerBackup.on_epoch_end
write keras_lbreg.comparison.report:write_report
write keras_lbreg.tuning.tune:write_report
"""


def cases(backend, quick):
    imports = {
        name: functools.partial(process, f"import {name}") for name in IMPORTS
    }
    made = [Case("import", imports, {}, warm_up=1, rounds=(9, 9))]
    if quick:
        return made
    everything = {k: v for part in TECHNIQUES.values() for k, v in part.items()}
    settings = {"plain": {}, **TECHNIQUES, "all": everything}
    first_steps = {
        name: functools.partial(
            process,
            "from benchmarks.training import training_step\n"
            f"training_step('C1', 128, {techniques}).run()",
        )
        for name, techniques in settings.items()
    }
    made.append(Case("first step", first_steps, {}, warm_up=1, rounds=(5, 5)))
    for name in COMMANDS:
        variants = {name: functools.partial(command, name)}
        made.append(Case(name, variants, {}, warm_up=0, rounds=(1, 1)))
    return made


def process(code):
    """A Python process of this code."""
    return Step(lambda: interpret(code))


def command(name):
    """`lbreg compare digits`, one seed, or one trial of `lbreg tune digits`."""
    seconds = {}

    def run():
        code = f"from benchmarks.startup import profile\nprofile({name!r})"
        seconds.update(json.loads(interpret(code).splitlines()[-1]))

    return Step(run, seconds)


def interpret(code):
    answer = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        raise RuntimeError(answer.stderr.strip().splitlines()[-1])
    return answer.stdout


def profile(name):
    """Runs a command and prints the seconds of its phases as JSON."""
    clock = Clock("import")
    import keras_lbreg as lbreg

    run = {
        "compare": lambda out: lbreg.compare(
            "digits", seeds=1, out=out, progress=False
        ),
        "tune": lambda out: lbreg.tune(
            "digits", trials=1, confirm_seeds=0, out=out, progress=False
        ),
    }[name]
    for phase, owner, function in places():
        timed = clock.wrap(phase, getattr(owner, function))
        setattr(owner, function, timed)
    with clock.phase("other"), tempfile.TemporaryDirectory() as folder:
        run(pathlib.Path(folder) / "run")
    print(json.dumps(clock.seconds))


def places():
    """The phase, the owner and the function of each line of `PHASES`."""
    for line in PHASES.split("\n")[1:-1]:
        phase, place = line.split()
        module, _, names = place.partition(":")
        *owner, function = names.split(".")
        found = functools.reduce(
            getattr, owner, importlib.import_module(module)
        )
        yield phase, found, function


class Clock:
    """Seconds by phase; a phase in another one stops the outer one's time."""

    def __init__(self, first):
        self.seconds, self._phases, self._since = {}, [first], time.monotonic()

    @contextlib.contextmanager
    def phase(self, name):
        self._charge()
        self._phases.append(name)
        try:
            yield
        finally:
            self._charge()
            self._phases.pop()

    def wrap(self, name, function):
        @functools.wraps(function)
        def timed(*args, **kwargs):
            with self.phase(name):
                return function(*args, **kwargs)

        return timed

    def _charge(self):
        now, name = time.monotonic(), self._phases[-1]
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now
