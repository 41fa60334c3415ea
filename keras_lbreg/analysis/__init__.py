"""What lies behind the large-batch gap: diagnostics of trained models."""

from keras_lbreg.analysis.gradient_noise_scale import (
    NoiseScale,
    gradient_noise_scale,
)
from keras_lbreg.analysis.hessian_top_eigenvalue import (
    TopEigenvalue,
    hessian_top_eigenvalue,
)
from keras_lbreg.analysis.interpolate import Interpolation, interpolate
from keras_lbreg.analysis.loss_surface import LossSurface
from keras_lbreg.analysis.sharpness import Sharpness, sharpness

__all__ = [
    "Interpolation",
    "LossSurface",
    "NoiseScale",
    "Sharpness",
    "TopEigenvalue",
    "gradient_noise_scale",
    "hessian_top_eigenvalue",
    "interpolate",
    "sharpness",
]
