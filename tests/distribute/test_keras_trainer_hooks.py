"""The private parts of Keras 3.15 that keras_trainer_hooks.py relies on.

If one of these fails, Keras has changed there: adapt keras_trainer_hooks.py
before raising the upper bound of the `keras` dependency.
"""

import inspect

import keras
import numpy as np
import pytest

from tests.checks.cluster import Failure
from tests.checks.clusters import two_workers_with_two_devices

if keras.backend.backend() == "tensorflow":
    from keras_lbreg.distribute import keras_trainer_hooks

# A whole cluster is run within the first test.
pytestmark = [pytest.mark.tensorflow, pytest.mark.timeout(600)]

CHECKED_WITH = ("3.15.", "3.16.")


def trainer():
    from keras.src.backend.tensorflow import trainer

    return trainer


def test_keras_version_is_one_that_was_checked():
    assert keras.__version__.startswith(CHECKED_WITH), (
        "read the hooks again with this version of Keras"
    )


@pytest.mark.parametrize(
    ("hook", "place"),
    [
        ("without_hook_of_shapes", "model_to_build"),
        ("without_hook_of_outputs", "reduces_outputs_of_step"),
    ],
)
def test_keras_still_fails_without_the_hook(hook, place):
    for result in two_workers_with_two_devices():
        assert isinstance(result[hook], Failure), (
            f"Keras issue 20585 is mended: keras_trainer_hooks.{place} and its "
            "use in MultiWorkerMirroredStrategy can go"
        )


def test_keras_fails_for_the_known_reasons():
    for result in two_workers_with_two_devices():
        assert "PerReplica" in result["without_hook_of_shapes"]
        assert "reduction dimension 0" in result["without_hook_of_outputs"]


def test_the_model_is_in_the_frame_that_asks_for_shapes():
    source = inspect.getsource(
        inspect.unwrap(trainer().TensorFlowTrainer._maybe_symbolic_build)
    )
    assert "self.distribute_strategy.reduce(" in source
    assert list(
        inspect.signature(
            trainer().TensorFlowTrainer._maybe_symbolic_build
        ).parameters
    ) == ["self", "iterator", "data_batch"]


def test_outputs_are_reduced_by_the_function_that_the_hook_looks_for():
    module = trainer()
    source = inspect.getsource(inspect.unwrap(module.reduce_per_replica))
    assert 'strategy.reduce("MEAN", v, axis=0)' in source
    step = inspect.getsource(module.TensorFlowTrainer._make_function)
    assert "reduce_per_replica(" in step
    assert keras_trainer_hooks.reduces_outputs_of_step() is False
    assert keras_trainer_hooks.model_to_build() is None


def test_a_python_generator_is_recognised():
    class Strategy:
        """Distributes nothing, and says what it is asked to distribute."""

        def experimental_distribute_dataset(self, dataset):
            self.found = keras_trainer_hooks.reads_python_generator()
            return dataset

    def batches():
        while True:
            yield np.zeros((4, 3)), np.zeros((4, 1))

    for x, expected in (
        (batches(), True),
        (np.zeros((4, 3)), False),
        (tf_dataset(), False),
    ):
        strategy = Strategy()
        trainer().TFEpochIterator(
            x=x, steps_per_epoch=2, distribute_strategy=strategy
        )
        assert strategy.found is expected


def tf_dataset():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(np.zeros((4, 3))).batch(2)
