"""Search for good settings of the techniques with KerasTuner.

KerasTuner is imported when one of the names that need it is first asked for.
"""

import importlib

from keras_lbreg.tuning.confirm import read_best
from keras_lbreg.tuning.report import TuneResult, read_trials

NEED_KERAS_TUNER = {"LargeBatchHyperModel": "hyper_model", "tune": "tune"}

__all__ = [
    "LargeBatchHyperModel",
    "TuneResult",
    "read_best",
    "read_trials",
    "tune",
]


def __getattr__(name):
    if name not in NEED_KERAS_TUNER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        importlib.import_module("keras_tuner")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"`keras_lbreg.tuning.{name}` needs KerasTuner. Install it with "
            '`pip install "keras-lbreg[tune]"`, in a clone `pip install '
            '".[tune]"`.'
        ) from error
    module = importlib.import_module(f"{__name__}.{NEED_KERAS_TUNER[name]}")
    value = getattr(module, name)
    # A module of the same name has taken the function's place.
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
