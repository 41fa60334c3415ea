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
from keras.src.backend.common.stateless_scope import get_stateless_scope

__all__ = [
    "TrainingPenalty",
    "get_keras_mask",
    "outside_of_graphs",
    "own_state",
    "set_keras_mask",
]


class _TrainedLayers(threading.local):
    """The layers that the last forward pass of this thread trained."""

    def __init__(self):
        # From layer to the `_scope()` of the pass.
        self.scopes = weakref.WeakKeyDictionary()


_trained = _TrainedLayers()


def _scope():
    """A reference to the present stateless scope, `None` outside of one."""
    scope = get_stateless_scope()
    return None if scope is None else weakref.ref(scope)


class TrainingPenalty:
    """Mixin: `call` says that `compute_penalty()` is a loss of this pass."""

    # `add_loss` would keep its tensors in a list of the layer. The replicas of
    # `tf.distribute`, which share the layer and have a thread each, take turns
    # at every collective operation inside the forward pass (synchronized batch
    # normalization), and a pass that begins clears the list. So what is kept is
    # that this thread's pass trained the layer.

    def count_penalty(self):
        _trained.scopes[self] = _scope()

    @property
    def penalty_counts(self):
        """Whether the last forward pass counted the penalty."""
        return self in _trained.scopes

    def _get_own_losses(self):
        losses = super()._get_own_losses()
        if self.penalty_counts and _trained.scopes[self] == _scope():
            return [*losses, self.compute_penalty()]
        return losses

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
