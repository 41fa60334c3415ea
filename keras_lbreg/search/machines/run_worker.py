"""A worker of a search on several machines: it runs what the chief says."""

import contextlib
import dataclasses
import os
import pathlib
import socket
import time

from keras_lbreg._version import __version__
from keras_lbreg.search.listen import listen
from keras_lbreg.search.machines.keras_tuner_hooks import connect_oracle
from keras_lbreg.search.machines.remote_desk import RemoteDesk, wait_for_chief
from keras_lbreg.search.machines.worker_events import WorkerEvents
from keras_lbreg.search.read_search import read_search, read_search_manifest
from keras_lbreg.search.run_trials import run_trials
from keras_lbreg.search.search_folder import differences_between
from keras_lbreg.search.search_state import space_of

# Seconds after which a file that the chief has written is to be seen here.
FILE_DELAY = 30.0


@dataclasses.dataclass(frozen=True)
class SharedFolder:
    """The folder of a search, into which only the chief writes the ledger.

    Args:
        path: The folder.
        manifest: Content of its `search.json`.

    Example:

    >>> SharedFolder(path, read_search_manifest(path))

    Reference: `keras_lbreg.search.SearchFolder`, the chief's.
    """

    path: pathlib.Path
    manifest: dict


def run_worker(search, role, on_event):
    """Run the trials that the chief hands out, until it has no more.

    Args:
        search: The `Search`, the chief's but for the number of `workers`.
        role: The `SearchRole`.
        on_event: Called with the events of this worker's own trials.

    Returns:
        The `SearchResults` of all workers, as the shared folder has them.

    Raises:
        ConnectionError: No chief answers, or it has gone for too long.
        ValueError: The folder is not the one that the chief writes to, or it
            holds another search.
        KeyboardInterrupt: This process was asked to stop. Its trials go on
            on other workers.

    Example:

    >>> run_worker(search, read_search_role(), print)

    Reference: https://keras.io/keras_tuner/guides/distributed_tuning
    """
    token = f"{socket.gethostname()}:{os.getpid()}"
    with connect_oracle(role.address, token) as client:
        wait_for_chief(client, role)
        folder = open_shared_folder(search)
        space = space_of(folder.manifest)
        desk = RemoteDesk(client, role.address)
        told = WorkerEvents(desk, folder.manifest, on_event)
        try:
            with listen() as listener:
                ended = run_trials(
                    search, folder, space, told, listener, role.name
                )
        finally:
            with contextlib.suppress(ConnectionError):
                desk.leave()
    if not ended:
        raise KeyboardInterrupt
    return read_search(folder.path)


def open_shared_folder(search, delay=FILE_DELAY):
    """The `SharedFolder` of a search that the chief has begun."""
    path = pathlib.Path(search.out_dir)
    end = time.monotonic() + delay
    # File systems of several machines show new files with a delay.
    while not (path / "search.json").is_file():
        if time.monotonic() > end:
            raise ValueError(
                "Invalid value for argument `out_dir`. Expected the folder "
                "that the chief writes to, on a file system that all machines "
                f"share (`lbreg tune --out`). Received: out_dir={str(path)!r}, "
                "in which this machine sees no search.json"
            )
        time.sleep(0.5)
    manifest = read_search_manifest(path)
    theirs = manifest["versions"].get("keras_lbreg")
    if theirs != __version__:
        raise ValueError(
            f"The chief searches with keras-lbreg {theirs}, this machine has "
            f"{__version__}. Install the same version on all machines."
        )
    own = {**manifest, "search": search.to_json()}
    if differences := differences_between(manifest, own):
        raise ValueError(
            f"The chief has begun another search in {path} ({differences}). "
            "Give the same command on all machines."
        )
    return SharedFolder(path, manifest)
