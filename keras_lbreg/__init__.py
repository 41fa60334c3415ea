"""Large-batch training for Keras 3.

Ghost batch normalization, distinctive regularization (DReg), annealed gradient
noise and GradientMix, each a line in a model you already have; and `compare`
and `tune`, which measure on your own model whether they help.
"""

import functools
import importlib
import sys
import types

from keras_lbreg._version import __version__

# The public names by the module that has them. A module is imported when one
# of its names, or the module itself, is first asked for.
NAMES = {
    "analysis": (
        "gradient_noise_scale",
        "hessian_top_eigenvalue",
        "interpolate",
        "sharpness",
    ),
    "callbacks": (
        "AverageReplicas",
        "DRegPathSelection",
        "GradientNoiseScale",
        "LearningRateLogger",
        "MultiWorkerBackup",
        "ReestimateBatchNormalization",
        "WeightDistance",
        "reestimate_batch_norm",
    ),
    "comparison": ("compare",),
    "data": ("load_dataset", "mix_sample_weights"),
    "distribute": (
        "BatchLayout",
        "GradientMixCrossDeviceOps",
        "MultiWorkerMirroredStrategy",
        "batch_layout",
    ),
    "layers": (
        "DRegConv2D",
        "DRegDense",
        "DRegDepthwiseConv2D",
        "GhostBatchNormalization",
    ),
    "models": (
        "DRegModel",
        "apply_dreg",
        "apply_ghost_batch_norm",
        "strip_dreg",
        "strip_ghost_batch_norm",
    ),
    "optimizers": (
        "LARS",
        "CoupledSGD",
        "GradientMix",
        "GradientNoise",
        "LossScaleOptimizer",
        "ReducedGradient",
        "SquaredGradients",
    ),
    "scaling": ("scale_up",),
    "schedules": (
        "Regime",
        "WarmUp",
        "scale_adam",
        "scale_learning_rate",
        "scale_momentum",
    ),
    "techniques": (),
    "training": ("Arm",),
    "tuning": ("tune",),
    "workloads": ("Workload", "get_workload"),
}
MODULES = {name: module for module in NAMES for name in NAMES[module]}

# Their classes are registered with Keras.
SERIALIZABLE = ("layers", "models", "optimizers", "schedules")

__all__ = ["__version__", *sorted([*MODULES, *NAMES])]


def __getattr__(name):
    if name in NAMES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    register_classes()
    module = importlib.import_module(f"{__name__}.{MODULES[name]}")
    value = getattr(module, name)
    if isinstance(value, types.ModuleType):
        # `tuning.tune`, imported before its function was asked for.
        value = getattr(value, name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})


@functools.cache
def register_classes():
    """Registers the classes that saved models name."""
    for module in SERIALIZABLE:
        importlib.import_module(f"{__name__}.{module}")
    from keras_lbreg._tested_versions import warn_if_newer

    warn_if_newer()


# `keras.saving.load_model` looks for a class in Keras's registry and imports
# none, so that this import has to fill it, whether Keras comes before or after
# it. The command line alone does without: it chooses Keras's backend, and then
# registers. Its process has begun in `_lbreg`, or, as `python -m keras_lbreg`,
# holds a bare "-m" in place of the program's path while this is imported.
if "_lbreg" not in sys.modules and sys.argv[:1] != ["-m"]:
    register_classes()
