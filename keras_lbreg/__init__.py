"""Large-batch training for Keras 3.

Ghost batch normalization, distinctive regularization (DReg), annealed gradient
noise and GradientMix, each a line in a model you already have.
"""

from keras_lbreg._command_line import is_command_line
from keras_lbreg._version import __version__

# All public names are imported in this block. The `lbreg` command skips it:
# it has to choose the backend before Keras is imported.
if not is_command_line():
    from keras_lbreg._tested_versions import warn_if_newer

    warn_if_newer()

    from keras_lbreg import (
        analysis,
        callbacks,
        data,
        distribute,
        experiments,
        layers,
        models,
        optimizers,
        schedules,
        techniques,
        tuning,
    )
    from keras_lbreg.analysis import (
        gradient_noise_scale,
        hessian_top_eigenvalue,
        interpolate,
        sharpness,
    )
    from keras_lbreg.callbacks import (
        AverageReplicas,
        DRegPathSelection,
        GradientNoiseScale,
        LearningRateLogger,
        MultiWorkerBackup,
        ReestimateBatchNormalization,
        WeightDistance,
        reestimate_batch_norm,
    )
    from keras_lbreg.data import mix_sample_weights
    from keras_lbreg.distribute import (
        BatchLayout,
        GradientMixCrossDeviceOps,
        MultiWorkerMirroredStrategy,
        batch_layout,
    )
    from keras_lbreg.layers import (
        DRegConv2D,
        DRegDense,
        DRegDepthwiseConv2D,
        GhostBatchNormalization,
    )
    from keras_lbreg.models import (
        DRegModel,
        apply_dreg,
        apply_ghost_batch_norm,
        strip_dreg,
        strip_ghost_batch_norm,
    )
    from keras_lbreg.optimizers import (
        LARS,
        CoupledSGD,
        GradientMix,
        GradientNoise,
        LossScaleOptimizer,
        ReducedGradient,
        SquaredGradients,
    )
    from keras_lbreg.schedules import Regime, WarmUp, scale_learning_rate

__all__ = [
    "LARS",
    "AverageReplicas",
    "BatchLayout",
    "CoupledSGD",
    "DRegConv2D",
    "DRegDense",
    "DRegDepthwiseConv2D",
    "DRegModel",
    "DRegPathSelection",
    "GhostBatchNormalization",
    "GradientMix",
    "GradientMixCrossDeviceOps",
    "GradientNoise",
    "GradientNoiseScale",
    "LearningRateLogger",
    "LossScaleOptimizer",
    "MultiWorkerBackup",
    "MultiWorkerMirroredStrategy",
    "ReducedGradient",
    "ReestimateBatchNormalization",
    "Regime",
    "SquaredGradients",
    "WarmUp",
    "WeightDistance",
    "__version__",
    "analysis",
    "apply_dreg",
    "apply_ghost_batch_norm",
    "batch_layout",
    "callbacks",
    "data",
    "distribute",
    "experiments",
    "gradient_noise_scale",
    "hessian_top_eigenvalue",
    "interpolate",
    "layers",
    "mix_sample_weights",
    "models",
    "optimizers",
    "reestimate_batch_norm",
    "scale_learning_rate",
    "schedules",
    "sharpness",
    "strip_dreg",
    "strip_ghost_batch_norm",
    "techniques",
    "tuning",
]
