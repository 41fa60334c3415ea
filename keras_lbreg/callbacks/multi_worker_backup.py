"""Training that goes on after an interruption, on one worker or several."""

import os
import pathlib

import keras
import numpy as np

from keras_lbreg.checks import check_positive_int, invalid
from keras_lbreg.data.npz import read_arrays
from keras_lbreg.distribute.cluster import broadcast_from_chief, is_chief
from keras_lbreg.models._keras_trainer import set_initial_epoch


class MultiWorkerBackup(keras.callbacks.Callback):
    """Saves the state of training after each epoch, and goes on from there.

    `keras.callbacks.BackupAndRestore` for several workers. The chief (worker 0)
    alone writes and reads the file, and hands what it has read to the others:
    no disk has to be shared, and workers cannot go on from different epochs.
    The file is replaced in one piece: a worker that is killed while it writes
    leaves the epoch before. On one worker, and under JAX, it does the same.

    Saved are all variables of the model and the optimizer, those of the
    gradient wrappers among them, and the number of the epoch. If the data of an
    epoch is a function of that epoch's number alone, training ends with the
    same weights as without the interruption; a `tf.data.Dataset` that is
    shuffled anew in each epoch begins again with the order of the first. Other
    callbacks begin anew, as in Keras. Batch normalization's moving statistics
    are, after an interruption, those of the chief on all replicas.

    Args:
        path: The file, `"backup.npz"`. Workers other than the chief ignore it.
        frequency: Positive integer, the number of epochs from one save to the
            next. Defaults to `1`.
        delete_checkpoint: Whether to delete the file when training ends.
            Defaults to `True`. With `False` a start after that trains no more.

    Raises:
        ValueError: If an argument makes no sense. When `fit` begins: if the
            model is not built, or the file is damaged or of another model.

    Example:

    >>> backup = keras_lbreg.MultiWorkerBackup("backup.npz")
    >>> model.fit(x, y, epochs=10, callbacks=[backup])

    Reference:

    - `keras.callbacks.BackupAndRestore`
    """

    def __init__(self, path, frequency=1, delete_checkpoint=True):
        super().__init__()
        if pathlib.Path(path).suffix != ".npz":
            raise invalid("path", "the name of an .npz file", str(path))
        check_positive_int("frequency", frequency)
        self.path = pathlib.Path(path)
        self.frequency = frequency
        self.delete_checkpoint = delete_checkpoint

    def on_train_begin(self, logs=None):
        if not self.model.built:
            raise ValueError(
                "`MultiWorkerBackup` needs a model that is built when `fit` "
                "begins. Give it an `Input`, or call it on a batch before. "
                f"Received: model={self.model.name!r}"
            )
        strategy = _strategy_of(self.model)
        # A damaged file is an error on all workers, none of which waits then.
        *state, epoch, error = broadcast_from_chief(
            strategy, self._read() if is_chief(strategy) else None
        )
        if str(error):
            raise ValueError(str(error))
        if epoch > 0:
            set_training_state(self.model, state)
            set_initial_epoch(self.model, int(epoch))

    def on_epoch_begin(self, epoch, logs=None):
        # `fit` has read it. The next one begins where it says itself.
        set_initial_epoch(self.model, None)

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.frequency:
            return
        # On all workers: reading some variables communicates.
        state = training_state(self.model)
        if is_chief(_strategy_of(self.model)):
            self._write(state, epoch + 1)

    def on_train_end(self, logs=None):
        set_initial_epoch(self.model, None)
        if not self.delete_checkpoint:
            return
        strategy = _strategy_of(self.model)
        # Not before the last worker has come to its end, too.
        broadcast_from_chief(strategy, [0])
        if is_chief(strategy):
            self.path.unlink(missing_ok=True)

    def _read(self):
        """The state, the number of epochs done, and what is wrong."""
        if not self.path.is_file():
            return [0, ""]
        try:
            content = read_arrays(self.path)
            epoch = int(content.pop("epoch"))
            state = [content[f"state_{i}"] for i in range(len(content))]
            return [*state, epoch, ""]
        except (ValueError, TypeError, KeyError, OSError) as error:
            reason = f"Cannot read the backup {self.path}: {error}. Nothing "
            return [0, f"{reason}was changed. Delete the file to begin anew."]

    def _write(self, state, epoch):
        arrays = {f"state_{i}": value for i, value in enumerate(state)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # One name: what a killed worker leaves is written over.
        partial = self.path.with_name(f".{self.path.name}.partial")
        with open(partial, "wb") as file:
            np.savez(file, epoch=epoch, **arrays)
        os.replace(partial, self.path)


def _strategy_of(model):
    return getattr(model, "distribute_strategy", None)


def training_state(model):
    """Copies of all variables of a compiled model and its optimizer."""
    arrays = map(keras.ops.convert_to_numpy, _state_variables(model))
    # NumPy's files know nothing of bfloat16, of which float32 holds all values.
    return [
        np.array(a, "float32" if a.dtype.kind == "V" else None) for a in arrays
    ]


def set_training_state(model, state):
    """Puts a `training_state` back; one that does not fit changes nothing."""
    variables = _state_variables(model)
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [value.shape for value in state]:
        raise ValueError(
            "The saved state does not fit the model: expected "
            f"{len(shapes)} variables, received {len(state)}, or their shapes "
            "differ. It was saved by another model or optimizer, or other "
            "versions. Delete what was saved to begin anew, or write to "
            "another place."
        )
    for variable, value in zip(variables, state, strict=True):
        variable.assign(value)


def _state_variables(model):
    # Keras's `LossScaleOptimizer` adds its variables again when built again.
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]
