"""What a trial needs to know of its tuner, checked on KerasTuner 1.4.

`HyperModel.fit` is told neither which trial it trains nor when its weights are
saved; the callbacks that the tuner adds know both.
`tests/tuning/test_keras_tuner_hooks.py` fails when a new KerasTuner changes
them.
"""

import dataclasses
import pathlib

from keras_tuner.src.engine.tuner_utils import SaveBestEpoch, TunerCallback


@dataclasses.dataclass(frozen=True)
class TunerCallbacks:
    """The callbacks of a trial, told apart.

    Args:
        others: The user's own, and those that tell the tuner of progress.
        saving: Those that save the model when it is the trial's best.
        tuner: The tuner, or `None` if no tuner is at work.
        trial: The `keras_tuner.engine.trial.Trial`, or `None`.
    """

    others: list
    saving: list
    tuner: object = None
    trial: object = None

    @property
    def folder(self):
        """The trial's folder, or `None`."""
        if self.tuner is None:
            return None
        return pathlib.Path(self.tuner.get_trial_dir(self.trial.trial_id))

    @property
    def max_epochs(self):
        """Epochs of Hyperband's longest trial, or `None`."""
        oracle = getattr(self.tuner, "oracle", None)
        # On several machines, a worker's oracle stands for the chief's.
        oracle = vars(oracle).get("_oracle", oracle) if oracle else None
        return getattr(oracle, "max_epochs", None)


def tell_apart(callbacks):
    """The `TunerCallbacks` of a list of callbacks."""
    others, saving, told = [], [], {}
    for callback in callbacks:
        if isinstance(callback, SaveBestEpoch):
            saving.append(callback)
            continue
        if isinstance(callback, TunerCallback):
            told = {"tuner": callback.tuner, "trial": callback.trial}
        others.append(callback)
    return TunerCallbacks(others, saving, **told)
