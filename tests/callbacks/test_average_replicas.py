import keras
import numpy as np
import pytest

from keras_lbreg.callbacks import AverageReplicas
from tests.checks.replicas import mirrored_strategy


@pytest.mark.tensorflow
def test_moving_statistics_become_their_mean():
    strategy = mirrored_strategy(2)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 3)).astype("float32")
    # The replicas see different means.
    x[:4] += 1
    y = np.zeros((8, 3), "float32")
    with strategy.scope():
        model = keras.Sequential(
            [
                keras.Input((3,)),
                keras.layers.BatchNormalization(momentum=0.0),
                keras.layers.Dropout(0.5),
            ]
        )
        model.compile(keras.optimizers.SGD(0.0), "mse")
    data = {"x": x, "y": y, "batch_size": 8, "shuffle": False, "verbose": 0}
    model.fit(**data)
    moving = model.layers[0].moving_mean
    first, second = on_replicas(strategy, moving)
    np.testing.assert_allclose(first, x[:4].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(second, x[4:].mean(axis=0), atol=1e-6)
    model.fit(**data, validation_data=(x, y), callbacks=[AverageReplicas()])
    for value in on_replicas(strategy, moving):
        np.testing.assert_allclose(value, x.mean(axis=0), atol=1e-6)
    # Without validation, at the end of the epoch.
    model.fit(**data)
    assert (on_replicas(strategy, moving)[0] != x.mean(axis=0)).all()
    model.fit(**data, callbacks=[AverageReplicas()])
    for value in on_replicas(strategy, moving):
        np.testing.assert_allclose(value, x.mean(axis=0), atol=1e-6)
    # The seeds of dropout are no statistics.
    states = on_replicas(strategy, model.layers[1].seed_generator.state)
    np.testing.assert_array_equal(*states)


def on_replicas(strategy, variable):
    return [
        np.array(value)
        for value in strategy.experimental_local_results(variable.value)
    ]


def test_one_replica_has_nothing_to_average():
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.BatchNormalization(momentum=0.0)]
    )
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    model.fit(x, x, verbose=0, callbacks=[AverageReplicas()])
    moving_mean = keras.ops.convert_to_numpy(model.layers[0].moving_mean)
    np.testing.assert_allclose(moving_mean, x.mean(axis=0), atol=1e-6)


@pytest.mark.tensorflow
def test_weights_of_frozen_layers_keep_every_bit():
    with mirrored_strategy(3).scope():
        model = keras.Sequential(
            [keras.Input((50,)), keras.layers.Dense(20, trainable=False)]
        )
        model.add(keras.layers.Dense(1))
        model.compile(keras.optimizers.SGD(0.1), "mse")
    before = model.layers[0].kernel.numpy()
    x, y = np.ones((6, 50), "float32"), np.ones((6, 1), "float32")
    model.fit(x, y, epochs=3, verbose=0, callbacks=[AverageReplicas()])
    np.testing.assert_array_equal(model.layers[0].kernel.numpy(), before)
