"""What `fit` of Keras 3 asks of several workers that TensorFlow cannot do.

[Keras issue 20585](https://github.com/keras-team/keras/issues/20585), in Keras
3.15: under `tf.distribute.MultiWorkerMirroredStrategy`, `fit` reduces a whole
batch, in place of its parts, to learn its shapes, and averages scalars over an
axis that scalars do not have. tests/distribute/test_keras_issue_20585.py fails
when Keras is mended: this file can go then.

Nothing of Keras is altered. Other callers mean the same arguments otherwise, so
that the strategy looks at the function that calls it.
"""

import inspect
import sys

import tensorflow as tf
from keras.src.backend.tensorflow import trainer
from keras.src.trainers import data_adapters


class StrategyForFit(tf.distribute.MultiWorkerMirroredStrategy):
    """Answers the two calls as `fit` means them."""

    def reduce(self, reduce_op, value, axis):
        model = model_to_build()
        if model is not None:
            check_model(model, self.extended.worker_devices)
            # Keras is after shapes and types: one replica's are enough.
            return tf.nest.map_structure(
                lambda part: self.experimental_local_results(part)[0], value
            )
        if reduces_outputs_of_step():
            # A mean over replicas, as on one machine: the results of a step
            # have no axis of samples.
            axis = None
        return super().reduce(reduce_op, value, axis)


def model_to_build():
    """The model that calls `reduce` for the shapes of a batch, or None."""
    build = inspect.unwrap(trainer.TensorFlowTrainer._maybe_symbolic_build)
    # The caller of the strategy's method that calls this function.
    frame = sys._getframe(2)
    return frame.f_locals["self"] if frame.f_code is build.__code__ else None


def reduces_outputs_of_step():
    """Whether Keras averages the results of one step over the replicas."""
    code = inspect.unwrap(trainer.reduce_per_replica).__code__
    frame = sys._getframe(1)
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back
    return frame is not None


def reads_python_generator():
    """Whether the dataset that `fit` distributes reads a Python generator."""
    code = trainer.TFEpochIterator.__init__.__code__
    # The caller of the strategy's method that calls this function.
    frame = sys._getframe(2)
    if frame.f_code is not code:
        return False
    adapter = frame.f_locals["self"].data_adapter
    return isinstance(adapter, data_adapters.GeneratorDataAdapter)


def check_model(model, devices):
    """Raises for what TensorFlow cannot do with several workers in `fit`."""
    if model.jit_compile and "CPU" in devices[0]:
        raise ValueError(
            "Invalid value for argument `jit_compile` of `compile`. Expected "
            "False under a strategy of several workers without GPUs, whose "
            "communication TensorFlow cannot compile. Received: "
            f"jit_compile={model.jit_compile}"
        )
    if model.steps_per_execution != 1:
        raise ValueError(
            "Invalid value for argument `steps_per_execution` of `compile`. "
            "Expected 1 under a strategy of several workers, whose "
            "communication TensorFlow cannot place inside of a loop. Received: "
            f"steps_per_execution={model.steps_per_execution}"
        )
