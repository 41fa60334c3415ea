"""Starts the processes of a search on several machines, all on this one."""

import contextlib
import os
import signal
import subprocess
import sys

from keras_lbreg.cli.launcher.free_ports import free_ports
from keras_lbreg.search.ledger import Ledger

MEMBER = "tests.search.search_member"


class Members(contextlib.ExitStack):
    """Processes of one search, which end with the context.

    Args:
        folder: Where they search and, in `NAME.txt`, print.
        trials: Number of trials.
        epochs: Epochs of each.
    """

    def __init__(self, folder, trials, epochs):
        super().__init__()
        self.folder = folder
        self.search = str(folder / "search")
        self.arguments = [self.search, str(trials), str(epochs)]
        self.port = str(free_ports(1)[0])

    def start(self, name):
        role = {
            "KERASTUNER_TUNER_ID": name,
            "KERASTUNER_ORACLE_IP": "127.0.0.1",
            "KERASTUNER_ORACLE_PORT": self.port,
        }
        with open(self.folder / f"{name}.txt", "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", MEMBER, *self.arguments],
                stdout=log,
                stderr=log,
                env={**os.environ, **role},
            )
        self.callback(end, process)
        return process

    def lines(self, name):
        """What a process has printed, without the log of warnings."""
        text = (self.folder / f"{name}.txt").read_text("utf-8")
        return [line for line in text.splitlines() if line.startswith("[")]

    def all_printed(self):
        """All that they have printed, to be shown where a test fails."""
        texts = (x.read_text("utf-8") for x in self.folder.glob("*.txt"))
        return "\n".join(texts)

    def ledger(self):
        return Ledger(f"{self.search}/ledger.jsonl").read()


def end(process):
    """Stop a process if it runs, and its children with it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
