"""What this package needs of Keras's trainer, checked on Keras 3.15.

Keras publishes `compute_loss` as a whole. A model with two paths needs its
parts: the compiled loss of one path's predictions, and what is added once. Only
`BackupAndRestore` can tell a running `fit` with which epoch to begin, and only
`fit` makes the variables of metrics before the first step.
`tests/models/test_keras_trainer.py` fails when a new Keras changes them.
"""

import contextlib

from keras import ops
from keras.src.backend.common import global_state
from keras.src.losses.loss import unscale_loss_for_distribution

from keras_lbreg.layers._keras_layer import get_keras_mask, set_keras_mask
from keras_lbreg.layers.paths import unstack_paths


def data_loss(model, y, y_pred, sample_weight):
    """The loss given to `compile`, with its loss weights; `None` if none."""
    if model._compile_loss is None:
        return None
    return model._compile_loss(y, y_pred, sample_weight)


def additional_loss(model, loss):
    """A term of regularization or `add_loss`, scaled for distribution."""
    return model._aggregate_additional_loss(loss)


def unscaled_loss(loss):
    """A loss on the scale of one replica, as Keras logs it."""
    return unscale_loss_for_distribution(loss)


def split_batch(x):
    """The two halves of a tensor's batch, each with its half of the mask."""
    parts = ops.split(x, 2)
    mask = get_keras_mask(x)
    if mask is not None:
        for part, part_mask in zip(parts, ops.split(mask, 2), strict=True):
            set_keras_mask(part, part_mask)
    return parts


def build_metrics(model, batch):
    """Makes the variables of loss and metrics, of a batch's shapes and types.

    A first step on TensorFlow that makes them itself is traced twice.
    """
    model._symbolic_build(data_batch=batch)


def set_initial_epoch(model, epoch):
    """Makes `fit` begin with an epoch (None: its own), in `on_train_begin`."""
    model._initial_epoch = epoch


def right_then_left(x):
    """A forked tensor in the order `[right; left]`, and its mask with it."""
    ordered = ops.concatenate(unstack_paths(x))
    mask = get_keras_mask(x)
    if mask is not None:
        set_keras_mask(ordered, ops.concatenate(unstack_paths(mask)))
    return ordered


def compile_arguments(model):
    """The arguments of a compiled model, as `compile` was given them."""
    # Keras gives them back in serialized form alone, in which a function of the
    # user's cannot be found again.
    return dict(model._compile_config.config)


@contextlib.contextmanager
def fresh_automatic_names():
    """Within it, Keras names layers as in a process that has built none."""
    name = "object_name_uids"
    before = global_state.get_global_attribute(name)
    global_state.set_global_attribute(name, None)
    try:
        yield
    finally:
        global_state.set_global_attribute(name, before)
