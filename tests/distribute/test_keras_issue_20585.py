"""The private parts of Keras 3.15 that keras_issue_20585.py relies on.

If one of these fails, Keras has changed there: adapt keras_issue_20585.py
before raising the upper bound of the `keras` dependency.
"""

import keras
import numpy as np
import pytest

from tests.checks.cluster import Failure
from tests.checks.clusters import two_workers_with_two_devices

if keras.backend.backend() == "tensorflow":
    from keras_lbreg.distribute import keras_issue_20585

# A whole cluster is run within the first test.
pytestmark = [pytest.mark.tensorflow, pytest.mark.timeout(600)]


@pytest.mark.slow
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
            f"Keras issue 20585 is mended: keras_issue_20585.{place} can go"
        )


@pytest.mark.slow
def test_keras_fails_for_the_known_reasons():
    for result in two_workers_with_two_devices():
        assert "PerReplica" in result["without_hook_of_shapes"]
        assert "reduction dimension 0" in result["without_hook_of_outputs"]


def test_other_callers_of_reduce_are_not_taken_for_fit():
    assert keras_issue_20585.reduces_outputs_of_step() is False
    assert keras_issue_20585.model_to_build() is None


def test_a_python_generator_is_recognised():
    from keras.src.backend.tensorflow.trainer import TFEpochIterator

    class Strategy:
        """Distributes nothing, and says what it is asked to distribute."""

        def experimental_distribute_dataset(self, dataset):
            self.found = keras_issue_20585.reads_python_generator()
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
        TFEpochIterator(x=x, steps_per_epoch=2, distribute_strategy=strategy)
        assert strategy.found is expected


def tf_dataset():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(np.zeros((4, 3))).batch(2)
