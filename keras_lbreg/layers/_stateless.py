"""The one private Keras name the DReg layers need, checked on Keras 3.15.

Keras publishes `keras.StatelessScope` but not the question whether one is
open. `tests/layers/test_stateless.py` fails when a new Keras moves the answer.
"""

from keras.src.backend.common.stateless_scope import in_stateless_scope

__all__ = ["in_stateless_scope"]
