"""What each child process of a search does first."""

import logging

import keras

from keras_lbreg.distribute.divide_processor import divide_processor


def prepare_child(search):
    """Set up the backend of a process that computes for a search.

    Args:
        search: The `Search`.

    Example:

    >>> prepare_child(Search("digits", virtual_devices=2))

    Reference: `keras_lbreg.search.trials.child_environment` chose the backend.
    """
    # Every run traces its own step: no reason to warn of retracing.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if search.virtual_devices is not None:
        divide_processor(search.virtual_devices, keras.backend.backend())
