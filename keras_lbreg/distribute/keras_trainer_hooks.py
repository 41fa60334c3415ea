"""The parts of Keras's trainer that ask a strategy for what it cannot do.

Checked against Keras 3.15; tests/distribute/test_keras_trainer_hooks.py fails
loudly when one of them changes, and tells when they are needed no longer.
Nothing here alters Keras: a strategy looks at who is calling it.

Keras issue 20585: with several workers `fit` reduces a whole batch, in place of
its parts, to learn its shapes, and averages scalars over an axis that scalars
do not have.
"""

import inspect

from keras.src.backend.tensorflow import trainer


def model_to_build(frame):
    """The model that is asking for the shapes of a batch, if one is.

    Args:
        frame: The frame that called the strategy.

    Returns:
        `keras.Model` or None.
    """
    build = inspect.unwrap(trainer.TensorFlowTrainer._maybe_symbolic_build)
    if frame is not None and frame.f_code is build.__code__:
        return frame.f_locals["self"]
    return None


def reduces_outputs_of_step(frame):
    """Whether Keras is averaging the results of one step over the replicas.

    Args:
        frame: The frame that called the strategy.

    Returns:
        Boolean.
    """
    code = inspect.unwrap(trainer.reduce_per_replica).__code__
    while frame is not None:
        if frame.f_code is code:
            return True
        frame = frame.f_back
    return False
