"""The techniques, as training, tuning, command line and docs see them."""

from keras_lbreg.techniques.register import (
    OPTIMIZERS,
    RATE_RULES,
    TECHNIQUES,
    check_hyperparameters,
    get,
    hooks,
    names,
    scale_regime,
)
from keras_lbreg.techniques.technique import (
    Context,
    SearchRange,
    Technique,
    try_out,
)

__all__ = [
    "OPTIMIZERS",
    "RATE_RULES",
    "TECHNIQUES",
    "Context",
    "SearchRange",
    "Technique",
    "check_hyperparameters",
    "get",
    "hooks",
    "names",
    "scale_regime",
    "try_out",
]
