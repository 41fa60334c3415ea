import warnings

import keras
import numpy as np
import pytest

from keras_lbreg.data import mix_sample_weights
from keras_lbreg.optimizers import GradientMix, GradientNoise
from keras_lbreg.random.mixing_weights import mixing_weights
from keras_lbreg.warnings import NoEffectWarning
from tests.checks.groups import batches
from tests.checks.replicas import (
    compiled,
    descend,
    fit,
    mirrored_strategy,
    weights,
)


def sgd(**kwargs):
    return keras.optimizers.SGD(0.1, momentum=0.9, **kwargs)


def mix(**kwargs):
    return GradientMix(sgd(global_clipnorm=0.5), seed=3, **kwargs)


def mix_in_noise():
    return GradientNoise(mix(), alpha=0.01, seed=4)


def noise_in_mix():
    return GradientMix(
        GradientNoise(sgd(global_clipnorm=0.5), alpha=0.01, seed=4), seed=3
    )


@pytest.mark.tensorflow
def test_order_of_nesting_does_not_matter():
    final = descend(mix_in_noise, replicas=2)
    np.testing.assert_array_equal(descend(noise_in_mix, replicas=2), final)
    assert np.abs(descend(mix, replicas=2) - final).max() > 1e-3


@pytest.mark.tensorflow
def test_each_replica_counts_with_its_weight():
    import tensorflow as tf

    strategy = mirrored_strategy(4)
    with strategy.scope():
        variables = [keras.Variable(np.zeros(4, "float32")) for _ in range(2)]
        optimizer = GradientMix(keras.optimizers.SGD(1.0), 0.5, seed=3)
        optimizer.build(variables)

    def replica_step():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        gradient = tf.one_hot(replica, 4) / 4
        optimizer.apply([gradient, 2 * gradient], variables)

    step = tf.function(lambda: strategy.run(replica_step))
    total = np.zeros(4)
    for t in range(3):
        step()
        expected = mixing_weights(3, t, 4, concentration=0.5, xp=np)
        total -= expected
        np.testing.assert_allclose(variables[0].numpy(), total, atol=1e-6)
        np.testing.assert_allclose(variables[1].numpy(), 2 * total, atol=1e-6)


@pytest.mark.tensorflow
def test_loaded_run_continues_bit_for_bit_on_replicas(tmp_path):
    first = compiled(lambda: GradientMix(sgd()), 2)
    second = compiled(lambda: GradientMix(sgd(), seed=5), 2)
    fit(first)
    first.save_weights(tmp_path / "a.weights.h5")
    second.load_weights(tmp_path / "a.weights.h5")
    fit(first)
    fit(second)
    np.testing.assert_array_equal(weights(second), weights(first))


def test_loaded_run_continues_bit_for_bit_on_one_device(tmp_path):
    def run(model, first, last):
        data = list(batches(2))[first:last]
        for batch in mix_sample_weights(data, 4, seed=3, initial_step=first):
            model.train_on_batch(*batch)

    model = compiled(lambda: GradientNoise(sgd(), alpha=0.01))
    run(model, 0, 3)
    model.save(tmp_path / "model.keras")
    run(model, 3, 8)
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    run(loaded, 3, 8)
    np.testing.assert_array_equal(weights(loaded), weights(model))


def test_one_replica_warns_once_and_averages():
    variable = keras.Variable(np.zeros(2, "float32"))
    optimizer = GradientMix(keras.optimizers.SGD(1.0), seed=1)
    with pytest.warns(NoEffectWarning, match="mix_sample_weights"):
        optimizer.apply([keras.ops.ones(2)], [variable])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer.apply([keras.ops.ones(2)], [variable])
    np.testing.assert_array_equal(variable, [-2.0, -2.0])


def test_fit_on_one_replica_warns():
    model = compiled(mix)
    with pytest.warns(NoEffectWarning):
        fit(model)
    assert np.isfinite(weights(model)).all()


@pytest.mark.parametrize(
    ("argument", "value"),
    [("concentration", 0.0), ("concentration", float("inf")), ("seed", -1)],
)
def test_invalid_arguments(argument, value):
    with pytest.raises(ValueError, match=f"argument `{argument}`"):
        GradientMix("sgd", **{argument: value})
