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

# Deaths of workers without a finished trial between them.
MOST_DEATHS = 5
PARENT = "KERAS_LBREG_PARENT"
SECONDS = 0.2


def serve(oracle, check):
    """KerasTuner's chief: answers workers until all have ended.

    `check` is called several times a second meanwhile.
    """
    from concurrent import futures

    import grpc
    from keras_tuner.src import protos
    from keras_tuner.src.distribute import oracle_chief

    silence_conditions()
    address = "{KERASTUNER_ORACLE_IP}:{KERASTUNER_ORACLE_PORT}".format(
        **os.environ
    )
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=1),
        # Two chiefs on one port would each have some of the trials.
        options=[("grpc.so_reuseport", 0)],
    )
    servicer = oracle_chief.OracleServicer(oracle)
    protos.get_service_grpc().add_OracleServicer_to_server(servicer, server)
    if not server.add_insecure_port(address):
        raise OSError(f"The chief of the search cannot use the port {address}.")
    server.start()
    try:
        # KerasTuner's own loop looks every 20 seconds.
        while not (servicer.stop_triggered and oracle_chief.exit_chief(oracle)):
            check()
            time.sleep(SECONDS)
    finally:
        server.stop(grace=1.0)


class Workers:
    """`count` processes that run this program as workers.

    A worker that ends before the search does is started again under its id,
    under which the chief hands it its trial again.
    """

    def __init__(self, count, folder):
        self.ids = [f"worker{number}" for number in range(count)]
        self.folder = pathlib.Path(folder)
        self.finished = 0
        self.deaths = 0
        self._idle = 0
        self._port = free_port()
        self._processes = {}

    @contextlib.contextmanager
    def running(self):
        """The workers at work, and this process their chief."""
        chief = self._variables("chief")
        before = {name: os.environ.get(name) for name in chief}
        os.environ.update(chief)
        try:
            for worker in self.ids:
                self._start(worker)
            yield self
        finally:
            for process in self._processes.values():
                process.kill()
            for process in self._processes.values():
                process.wait()
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value

    def check(self, finished):
        """Starts dead workers again; raises where that does not help."""
        codes = {name: x.poll() for name, x in self._processes.items()}
        self._idle = self._idle + 1 if set(codes.values()) == {0} else 0
        if self._idle > 5:
            raise RuntimeError(
                "All workers of the search ended before it did. Does this "
                "program call `keras_lbreg.tune` whenever it is started? "
                f"What they printed is in {self._log('').parent}."
            )
        for worker, code in codes.items():
            if code is None or code == 0:
                continue
            self.deaths = 1 + (self.deaths if finished == self.finished else 0)
            self.finished = finished
            if self.deaths > MOST_DEATHS:
                log = self._log(worker)
                raise RuntimeError(
                    f"Workers of the search ended {self.deaths} times without "
                    f"a finished trial between. {worker} printed last ({log}):"
                    f"\n{log.read_text(errors='replace')[-2000:]}"
                )
            self._start(worker)

    def _start(self, worker):
        environment = {
            **os.environ,
            # Several processes on a GPU: none takes all of its memory.
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",
            "XLA_PYTHON_CLIENT_MEM_FRACTION": f"{0.9 / len(self.ids):.2f}",
            **gpu_of(self.ids.index(worker), len(self.ids)),
            **{k: v for k, v in os.environ.items() if k in MEMORY},
            **self._variables(worker),
            PARENT: str(os.getpid()),
        }
        log = self._log(worker)
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as output:
            self._processes[worker] = subprocess.Popen(
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

    def _log(self, worker):
        return self.folder / "workers" / f"{worker}.log"


MEMORY = ("TF_FORCE_GPU_ALLOW_GROWTH", "XLA_PYTHON_CLIENT_MEM_FRACTION")


def silence_conditions():
    """KerasTuner 1.4 prints a condition's value whenever it is sent."""
    from keras_tuner.src.engine import conditions

    conditions.print = lambda *args: None


def gpu_of(index, count):
    """`CUDA_VISIBLE_DEVICES` of one worker, where there is a GPU for each."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        gpus = [name.strip() for name in chosen.split(",") if name.strip()]
    else:
        command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
        try:
            listed = subprocess.run(
                command, capture_output=True, text=True, timeout=30
            )
        except (OSError, subprocess.TimeoutExpired):
            return {}
        gpus = listed.stdout.split() if listed.returncode == 0 else []
    share = len(gpus) // count
    if share == 0:
        return {}
    own = gpus[index * share : (index + 1) * share]
    return {"CUDA_VISIBLE_DEVICES": ",".join(own)}


def begin_worker():
    """Prepares a worker, which ends with the process that started it."""
    silence_conditions()
    parent = os.environ.get(PARENT)
    if parent is None:
        return

    def watch():
        while os.getppid() == int(parent):
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def check_program():
    """Raises `ValueError` where no program can be started again."""
    interactive = not sys.orig_argv[1:] or hasattr(sys, "ps1")
    if interactive or "ipykernel" in sys.modules:
        raise ValueError(
            "Invalid value for argument `workers`. Expected 1 in an "
            "interactive session: a worker is the same program, started "
            "again. Received: more"
        )


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
