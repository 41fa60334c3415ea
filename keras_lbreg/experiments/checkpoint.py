"""The complete state of a run in one file."""

import os
import pathlib
import time

import numpy as np

from keras_lbreg.data.sources.npz import read_arrays

# Of the training time, at most this share goes into checkpoints.
TIME_SHARE = 0.05


class Checkpoint:
    """Saves a run now and then, and finds it again.

    A save follows the last one only when twenty times as long as it took has
    passed, so that checkpoints cost at most 5 % of the time. The file is
    replaced atomically: there is always one complete checkpoint.

    Args:
        path: The file.

    Raises:
        ValueError: `load` found a damaged file.

    Example:

    >>> checkpoint = Checkpoint("runs/digits/runs/lr/seed-0/checkpoint.npz")
    >>> checkpoint.load()

    Reference: `os.replace` is atomic on POSIX and Windows.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self._next_save = 0.0

    def due(self):
        """Whether enough time has passed since the last save."""
        return time.monotonic() >= self._next_save

    def save(self, state, epoch, distance):
        """Save the training state after `epoch` epochs.

        Args:
            state: What `training_state` returned.
            epoch: Number of epochs done.
            distance: State of the run's `WeightDistance`, a dictionary of
                arrays.
        """
        start = time.monotonic()
        content = {f"distance/{k}": v for k, v in distance.items()}
        content["epoch"] = np.array(epoch)
        for index, value in enumerate(state):
            content[f"state/{index}"] = value
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        with open(partial, "wb") as file:
            np.savez(file, **content)
        os.replace(partial, self.path)
        end = time.monotonic()
        self._next_save = end + (end - start) / TIME_SHARE

    def load(self):
        """What was saved, `(epoch, state, distance)`, or `None`."""
        if not self.path.is_file():
            return None
        try:
            return decode(read_arrays(self.path))
        except (ValueError, TypeError, OSError) as error:
            raise ValueError(
                f"Cannot read the checkpoint {self.path}: {error}. Nothing "
                "was changed. Delete the file to begin this run anew, or "
                "start again with `--fresh`."
            ) from error

    def delete(self):
        self.path.unlink(missing_ok=True)


def decode(content):
    """The parts of a checkpoint: epoch, state and distance."""
    state, distance = {}, {}
    for key, value in content.items():
        part, _, name = key.partition("/")
        if part == "state":
            state[int(name)] = value
        elif part == "distance":
            distance[name] = value
    if "epoch" not in content or sorted(state) != [*range(len(state))]:
        raise ValueError("it is not complete")
    return int(content["epoch"]), [state[i] for i in sorted(state)], distance
