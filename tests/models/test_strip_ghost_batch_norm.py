"""The way back to plain batch normalization."""

import keras
import numpy as np
import pytest

from keras_lbreg.layers import GhostBatchNormalization
from keras_lbreg.models import apply_ghost_batch_norm, strip_ghost_batch_norm
from keras_lbreg.models.layer_search import find_layers
from keras_lbreg.warnings import NoEffectWarning
from tests.models.test_apply_ghost_batch_norm import Block, X, make_model


def test_strip_undoes_apply():
    model = make_model()
    plain = strip_ghost_batch_norm(apply_ghost_batch_norm(model, 4))
    assert plain.get_config() == model.get_config()
    for old, new in zip(model.weights, plain.weights, strict=True):
        np.testing.assert_array_equal(old, new)


def test_predictions_of_a_trained_model_are_equal():
    ghost = apply_ghost_batch_norm(make_model(), 4)
    ghost.compile("sgd", "mse")
    ghost.fit(X, np.zeros((8, 3)), epochs=2, verbose=0)
    plain = strip_ghost_batch_norm(ghost)
    np.testing.assert_array_equal(plain(X), ghost(X))
    assert not find_layers(
        plain, lambda layer: isinstance(layer, GhostBatchNormalization)
    )


def test_nothing_to_strip_warns():
    with pytest.warns(NoEffectWarning, match="no GhostBatchNormalization"):
        strip_ghost_batch_norm(make_model())


def test_hidden_ghosts_are_refused():
    block = Block(name="block", norm=GhostBatchNormalization(name="ghost"))
    model = keras.Sequential([keras.Input((3,)), block])
    with pytest.raises(ValueError, match="block/ghost"):
        strip_ghost_batch_norm(model)
