"""Contract with the private parts of Keras's `Layer`, on Keras 3.15."""

import keras
import numpy as np
import pytest

from keras_lbreg.layers._keras_layer import (
    TrainingPenalty,
    get_keras_mask,
    outside_of_graphs,
    own_state,
    set_keras_mask,
)

X = np.ones((2, 3), "float32")


class Penalized(TrainingPenalty, keras.layers.Dense):
    def compute_penalty(self):
        return keras.ops.sum(self.kernel)

    def call(self, inputs, training=None):
        if training:
            self.count_penalty()
        return super().call(inputs)


class Twice(keras.layers.Layer):
    """Calls its layer twice, in training once or not at all."""

    def __init__(self, training=(None, None)):
        super().__init__()
        self.inner = Penalized(3)
        self.training = training

    def call(self, x, training=None):
        for own in self.training:
            x = self.inner(x, training=training if own is None else own)
        return x


def losses(layer, **kwargs):
    layer(X, **kwargs)
    return [float(loss) for loss in layer.losses]


def stateless_losses(layer, **kwargs):
    _, _, found = layer.stateless_call(
        [v.value for v in layer.trainable_variables],
        [v.value for v in layer.non_trainable_variables],
        X,
        return_losses=True,
        **kwargs,
    )
    return [float(loss) for loss in found]


@pytest.mark.parametrize("find", [losses, stateless_losses])
@pytest.mark.parametrize(
    ("inner", "count"),
    [((None, None), 1), ((False, None), 1), ((False, False), 0)],
)
def test_a_pass_counts_the_penalty_once_and_in_training_only(
    find, inner, count
):
    layer = Twice(inner)
    layer(X)
    expected = float(keras.ops.sum(layer.inner.kernel))
    assert find(layer, training=True) == [pytest.approx(expected)] * count
    assert find(layer, training=False) == []
    assert find(layer) == []


def test_passes_in_and_outside_of_a_scope_are_not_mixed_up():
    layer = Penalized(3)
    assert len(losses(layer, training=True)) == 1
    with keras.StatelessScope():
        assert layer.losses == []
    assert len(stateless_losses(layer, training=True)) == 1
    assert layer.losses == []
    # A symbolic call trains nothing.
    layer(keras.Input((3,)), training=True)
    assert layer.losses == []


def test_penalties_go_with_the_losses_of_keras():
    layer = Penalized(3, activity_regularizer="l2", kernel_regularizer="l2")
    assert len(losses(layer, training=True)) == 3
    assert len(losses(layer, training=False)) == 2
    assert layer.penalty_counts is False


def test_masks_go_with_tensors():
    x = keras.ops.ones((2, 3))
    assert get_keras_mask(x) is None
    set_keras_mask(x, np.array([True, False]))
    np.testing.assert_array_equal(get_keras_mask(x), [True, False])


@pytest.mark.parametrize("trainable", [True, False])
def test_own_state(trainable):
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(2, trainable=trainable),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
        ]
    )
    model.trainable = trainable
    assert [v.name for v in own_state(model)] == [
        "moving_mean",
        "moving_variance",
    ]


@pytest.mark.tensorflow
def test_outside_of_graphs():
    import tensorflow as tf

    @tf.function
    def trace():
        with outside_of_graphs():
            assert tf.executing_eagerly()
        return tf.zeros(())

    trace()
