"""What the DReg layers need of Keras's `Layer`, checked on Keras 3.15.

Keras publishes neither where a layer's losses are collected, nor the mask of a
tensor, nor which variables of a frozen layer are state.
`tests/layers/test_keras_layer.py` fails when a new Keras changes them.
"""

import contextlib
import threading
import weakref

import keras
from keras.src.backend import get_keras_mask, set_keras_mask
from keras.src.backend.common.stateless_scope import (
    get_stateless_scope,
    in_stateless_scope,
)

__all__ = [
    "TrainingPenalty",
    "get_keras_mask",
    "outside_of_graphs",
    "own_state",
    "set_keras_mask",
]

_NO_SCOPE = object()


class _TrainedLayers(threading.local):
    """The layers that the last forward pass of this thread trained."""

    def __init__(self):
        # From layer to a reference to the stateless scope of the pass.
        self.scopes = weakref.WeakKeyDictionary()


_trained = _TrainedLayers()


class TrainingPenalty:
    """Mixin for a layer with a loss of its variables in training.

    The layer computes it in `compute_penalty()` and says in `call`, by
    `count_penalty()`, that it is one of this pass's `losses`, once.
    """

    # `add_loss` would keep its tensors in a list of the layer. The replicas of
    # `tf.distribute`, which share the layer and have a thread each, take turns
    # at every collective operation inside the forward pass (synchronized batch
    # normalization), and a pass that begins clears the list. So what is kept is
    # that this thread's pass trained the layer.

    def count_penalty(self):
        scope = get_stateless_scope() if in_stateless_scope() else None
        _trained.scopes[self] = (
            _NO_SCOPE if scope is None else weakref.ref(scope)
        )

    @property
    def penalty_counts(self):
        """Whether the last forward pass counted the penalty."""
        return self in _trained.scopes

    def _get_own_losses(self):
        losses = super()._get_own_losses()
        found = _trained.scopes.get(self)
        if found is None:
            return losses
        if in_stateless_scope():
            counts = found is not _NO_SCOPE and found() is get_stateless_scope()
        else:
            counts = found is _NO_SCOPE
        return [*losses, self.compute_penalty()] if counts else losses

    def _clear_losses(self):
        super()._clear_losses()
        _trained.scopes.pop(self, None)


def own_state(layer):
    """Moving statistics and the like, no frozen weights and no seeds."""
    return [
        variable
        for owner in layer._flatten_layers()
        for variable in owner._non_trainable_variables
    ]


def outside_of_graphs():
    """A context in which TensorFlow runs at once what it meets."""
    # A layer may be built while a step is traced. TensorFlow then moves the
    # first values of variables out of the graph, which it cannot do under XLA
    # where one depends on another.
    if keras.backend.backend() != "tensorflow":
        return contextlib.nullcontext()
    import tensorflow as tf

    return tf.init_scope()
