"""Keras's own tests of BatchNormalization, with one ghost in its place."""

import keras
import pytest
from keras.src.layers.normalization import batch_normalization_test

from keras_lbreg.layers import GhostBatchNormalization


@keras.saving.register_keras_serializable(package="keras_lbreg_tests")
class OneGhost(GhostBatchNormalization):
    """Every batch is one ghost batch: plain batch normalization."""

    def __init__(self, *args, ghost_batch_size=10**6, **kwargs):
        super().__init__(*args, ghost_batch_size=ghost_batch_size, **kwargs)


@pytest.fixture(autouse=True)
def one_ghost_in_place(monkeypatch):
    monkeypatch.setattr(
        batch_normalization_test.layers, "BatchNormalization", OneGhost
    )


# Keras's tests are not written for warnings as errors: some models they fit
# have nothing to train.
@pytest.mark.filterwarnings("ignore::UserWarning")
class TestOneGhost(batch_normalization_test.BatchNormalizationTest):
    """Inherits them all."""


def test_the_layer_really_stands_in():
    layer = batch_normalization_test.layers.BatchNormalization()
    assert isinstance(layer, GhostBatchNormalization)
