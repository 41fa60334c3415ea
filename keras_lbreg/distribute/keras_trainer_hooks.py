"""The parts of Keras's trainer that ask a strategy for what it cannot do.

Checked against Keras 3.15; tests/distribute/test_keras_trainer_hooks.py fails
loudly when one of them changes, and tells when they are needed no longer.
Nothing here alters Keras: a strategy looks at who is calling it.

Keras issue 20585: with several workers `fit` reduces a whole batch, in place of
its parts, to learn its shapes, and averages scalars over an axis that scalars
do not have.
"""

import inspect
import sys

from keras.src.backend.tensorflow import trainer
from keras.src.trainers import data_adapters


def model_to_build():
    """The model that calls the strategy for the shapes of a batch, if one does.

    Returns:
        `keras.Model` or None.
    """
    build = inspect.unwrap(trainer.TensorFlowTrainer._maybe_symbolic_build)
    # The caller of the strategy's method that calls this function.
    frame = sys._getframe(2)
    return frame.f_locals["self"] if frame.f_code is build.__code__ else None


def reduces_outputs_of_step():
    """Whether Keras is averaging the results of one step over the replicas.

    Returns:
        Boolean.
    """
    code = inspect.unwrap(trainer.reduce_per_replica).__code__
    frame = sys._getframe(1)
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back
    return frame is not None


def reads_python_generator():
    """Whether the dataset that `fit` is distributing reads a Python generator.

    Returns:
        Boolean.
    """
    code = trainer.TFEpochIterator.__init__.__code__
    # The caller of the strategy's method that calls this function.
    frame = sys._getframe(2)
    if frame.f_code is not code:
        return False
    adapter = frame.f_locals["self"].data_adapter
    return isinstance(adapter, data_adapters.GeneratorDataAdapter)
