"""Callbacks that watch what large batches do to training."""

from keras_lbreg.callbacks.average_replicas import AverageReplicas
from keras_lbreg.callbacks.dreg_path_selection import DRegPathSelection
from keras_lbreg.callbacks.gradient_noise_scale import GradientNoiseScale
from keras_lbreg.callbacks.learning_rate_logger import LearningRateLogger
from keras_lbreg.callbacks.multi_worker_backup import MultiWorkerBackup
from keras_lbreg.callbacks.reestimate_batch_normalization import (
    ReestimateBatchNormalization,
    reestimate_batch_norm,
)
from keras_lbreg.callbacks.weight_distance import WeightDistance

__all__ = [
    "AverageReplicas",
    "DRegPathSelection",
    "GradientNoiseScale",
    "LearningRateLogger",
    "MultiWorkerBackup",
    "ReestimateBatchNormalization",
    "WeightDistance",
    "reestimate_batch_norm",
]
