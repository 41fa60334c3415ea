"""Workers of a search: the same program again, as KerasTuner's guide has it.

The variables `KERASTUNER_TUNER_ID`, `KERASTUNER_ORACLE_IP` and
`KERASTUNER_ORACLE_PORT` make a program the chief or a worker of a search. On
several machines the user sets them; here one program starts the others on its
own machine.
"""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

from keras_lbreg.processes import free_ports, own_gpus

# Deaths of workers without a finished trial between them.
MOST_DEATHS = 5

# The process that a worker ends with.
PARENT = "KERAS_LBREG_PARENT"


def serve(oracle, on_progress):
    """KerasTuner's chief, until all workers have ended.

    `on_progress` is called several times a second meanwhile.
    """
    from keras_tuner.src.distribute.oracle_chief import start_server

    silence_conditions()
    # Two chiefs on one port would each have some of the trials.
    port = int(os.environ["KERASTUNER_ORACLE_PORT"])
    socket.create_server((os.environ["KERASTUNER_ORACLE_IP"], port)).close()
    # It looks every 20 seconds whether it may end.
    server = threading.Thread(target=start_server, args=[oracle], daemon=True)
    server.start()
    begun = False
    while server.is_alive():
        if begun and not oracle.tuner_ids and not oracle.ongoing_trials:
            return
        begun = begun or bool(oracle.tuner_ids)
        on_progress()
        time.sleep(0.2)


class Workers:
    """`count` processes that run this program as workers.

    A worker that ends before the search does is started again under its id,
    under which the chief hands it its trial again.
    """

    def __init__(self, count, folder):
        if "ipykernel" in sys.modules or not sys.orig_argv[1:]:
            raise ValueError(
                "Invalid value for argument `workers`. Expected 1 in an "
                "interactive session: a worker is the same program, started "
                f"again. Received: workers={count}"
            )
        self.names = [f"worker{number}" for number in range(count)]
        self.folder = pathlib.Path(folder) / "workers"
        [self._port] = free_ports(1)
        self._processes = {}
        # Checks since all workers ended, and deaths since a trial finished.
        self._idle = self._deaths = self._finished = 0

    @contextlib.contextmanager
    def running(self):
        """The workers at work, and this process their chief."""
        chief = self._variables("chief")
        self.folder.mkdir(exist_ok=True)
        os.environ.update(chief)
        try:
            for name in self.names:
                self._start(name)
            yield self
        finally:
            for process in self._processes.values():
                process.kill()
                process.wait()
            for variable in chief:
                del os.environ[variable]

    def check(self, finished):
        """Starts dead workers again; raises where that does not help."""
        codes = {name: x.poll() for name, x in self._processes.items()}
        self._idle = self._idle + 1 if set(codes.values()) == {0} else 0
        if self._idle > 1:
            raise RuntimeError(
                "All workers of the search ended before it did. Does this "
                "program call `keras_lbreg.tune` whenever it is started? "
                f"What they printed is in {self.folder}."
            )
        if finished > self._finished:
            self._deaths, self._finished = 0, finished
        for name in (name for name, code in codes.items() if code):
            self._deaths += 1
            if self._deaths > MOST_DEATHS:
                text = self._log(name).read_text("utf-8", errors="replace")
                raise RuntimeError(
                    f"Workers of the search ended {self._deaths} times without "
                    f"a finished trial between. {self._log(name)} ends with:\n"
                    f"{text[-2000:]}"
                )
            self._start(name)

    def _start(self, name):
        # Several processes on a GPU: none takes all of its memory.
        environment = {
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
            **os.environ,
            **own_gpus(self.names.index(name), len(self.names)),
            **self._variables(name),
            PARENT: str(os.getpid()),
        }
        with open(self._log(name), "ab") as output:
            self._processes[name] = subprocess.Popen(
                [sys.executable, *sys.orig_argv[1:]],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _variables(self, name):
        return {
            "KERASTUNER_TUNER_ID": name,
            "KERASTUNER_ORACLE_IP": "127.0.0.1",
            "KERASTUNER_ORACLE_PORT": str(self._port),
        }

    def _log(self, name):
        return self.folder / f"{name}.log"


def begin_worker():
    """Prepares a worker, which ends with the process that started it."""
    silence_conditions()
    parent = os.environ.get(PARENT)

    def watch():
        while os.getppid() == int(parent):
            time.sleep(1.0)
        os._exit(1)

    if parent is not None:
        threading.Thread(target=watch, daemon=True).start()


def silence_conditions():
    """KerasTuner 1.4 prints a condition's value whenever it is sent."""
    from keras_tuner.src.engine import conditions

    conditions.print = lambda *args: None
