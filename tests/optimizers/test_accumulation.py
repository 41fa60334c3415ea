"""Accumulation of gradients and averaging of variables in a strategy."""

import keras
import numpy as np
import pytest

from keras_lbreg.optimizers import (
    GradientMix,
    GradientNoise,
    LossScaleOptimizer,
    ReducedGradient,
)
from keras_lbreg.random.mixing_weights import mixing_weights
from tests.checks.loss_scaling import data_with_infinite_target, loss_scale_log
from tests.checks.replicas import (
    BATCH,
    compiled,
    descend,
    fit,
    look_up,
    mirrored_strategy,
    regression_data,
    train,
    weights,
)


def sgd(**kwargs):
    return keras.optimizers.SGD(0.1, momentum=0.9, **kwargs)


def averaging():
    return keras.optimizers.AdamW(
        0.01, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3
    )


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "stock",
    [lambda: sgd(gradient_accumulation_steps=2), averaging],
    ids=["accumulation", "averaging"],
)
def test_keras_alone_cannot(stock):
    with pytest.raises((RuntimeError, ValueError)):
        descend(stock, replicas=2)


def accumulated(**kwargs):
    return sgd(gradient_accumulation_steps=3, clipnorm=0.5, **kwargs)


OPTIMIZERS = {
    "clip": lambda: ReducedGradient(accumulated()),
    "noise": lambda: GradientNoise(accumulated(), alpha=0.01, seed=1),
    "averaging": lambda: ReducedGradient(averaging()),
    "accumulation-averaging-decay": lambda: ReducedGradient(
        keras.optimizers.AdamW(
            0.01,
            weight_decay=0.1,
            gradient_accumulation_steps=2,
            use_ema=True,
            ema_momentum=0.5,
            ema_overwrite_frequency=2,
            loss_scale_factor=8.0,
        )
    ),
}


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_replicas_follow_one_device(name):
    one = descend(OPTIMIZERS[name], steps=20)
    for replicas in (1, 2, 4):
        final = descend(OPTIMIZERS[name], replicas, steps=20)
        np.testing.assert_allclose(final, one, atol=1e-5)
    assert np.abs(one - descend(sgd, steps=20)).max() > 1e-3


@pytest.mark.tensorflow
def test_eager_replicas_follow_one_device():
    make_optimizer = OPTIMIZERS["accumulation-averaging-decay"]
    np.testing.assert_allclose(
        descend(make_optimizer, 2, steps=5, run_eagerly=True),
        descend(make_optimizer, steps=5),
        atol=1e-5,
    )


@pytest.mark.tensorflow
def test_micro_batches_are_parts_of_one_batch():
    """Two replicas with two micro-batches of 16, one device with 32."""

    def noise(**kwargs):
        inner = sgd(global_clipnorm=0.5, **kwargs)
        return GradientNoise(inner, alpha=0.01, seed=1)

    def penalized():
        layer = keras.layers.Dense(1, kernel_regularizer="l2")
        return keras.Sequential([keras.Input((5,)), layer])

    model = compiled(
        lambda: noise(gradient_accumulation_steps=2), 2, make_model=penalized
    )
    fit(model, epochs=10)
    whole = compiled(noise, make_model=penalized)
    fit(whole, epochs=10, batch_size=2 * BATCH)
    assert int(whole.optimizer.iterations) == 20
    assert int(model.optimizer.iterations) == 20
    np.testing.assert_allclose(weights(model), weights(whole), atol=1e-5)


@pytest.mark.parametrize("steps", [None, 3])
def test_hooks_get_the_number_of_completed_updates(steps):
    seen = []

    class Watch(ReducedGradient):
        def transform_local_gradients(self, gradients, step):
            seen.append(int(step))
            return gradients

    variable = keras.Variable(np.ones(2, "float32"))
    optimizer = Watch(sgd(gradient_accumulation_steps=steps))
    for _ in range(6):
        optimizer.apply([keras.ops.ones(2)], [variable])
    assert seen == [t // (steps or 1) for t in range(6)]


@pytest.mark.tensorflow
@pytest.mark.parametrize("noise_outside", [False, True])
def test_one_draw_for_all_micro_batches_of_an_update(noise_outside):
    """Micro-batches 1, 2, 3 have mean 2, with one mixing and one noise."""
    import tensorflow as tf

    def make_optimizer():
        inner = keras.optimizers.SGD(1.0, gradient_accumulation_steps=3)
        if noise_outside:
            return GradientNoise(GradientMix(inner, 0.5, seed=3), 0.01, seed=4)
        return GradientMix(GradientNoise(inner, 0.01, seed=4), 0.5, seed=3)

    strategy = mirrored_strategy(4)
    with strategy.scope():
        variable = keras.Variable(np.zeros(4, "float32"))
        optimizer = make_optimizer()
        optimizer.build([variable])

    @tf.function
    def step(micro_batch):
        def replica_step(micro_batch):
            context = tf.distribute.get_replica_context()
            one = tf.one_hot(context.replica_id_in_sync_group, 4) / 4
            optimizer.apply([micro_batch * one], [variable])

        strategy.run(replica_step, args=(micro_batch,))

    noise_alone = keras.Variable(np.zeros(4, "float32"))
    noisy = GradientNoise(keras.optimizers.SGD(1.0), 0.01, seed=4)
    total = np.zeros(4)
    for t in range(2):
        for micro_batch in (1.0, 2.0, 3.0):
            np.testing.assert_allclose(
                variable.numpy(), total + noise_alone.numpy(), atol=1e-6
            )
            step(tf.constant(micro_batch))
        total -= 2 * mixing_weights(3, t, 4, concentration=0.5, xp=np)
        noisy.apply([keras.ops.zeros(4)], [noise_alone])
    np.testing.assert_allclose(
        variable.numpy(), total + noise_alone.numpy(), atol=1e-6
    )
    for value in strategy.experimental_local_results(variable.value):
        np.testing.assert_array_equal(value.numpy(), variable.numpy())


@pytest.mark.tensorflow
def test_micro_batch_with_an_infinite_gradient_is_left_out_everywhere():
    def scaled():
        return LossScaleOptimizer(OPTIMIZERS["noise"]())

    finals, logs = [], []
    for replicas in (0, 2, 4):
        rows = []
        finals.append(
            descend(
                scaled,
                replicas,
                steps=8,
                data=data_with_infinite_target(sample=15),
                after_step=loss_scale_log(rows),
            )
        )
        logs.append(rows)
    updates = [row[2] for row in logs[0]]
    # The second and the sixth micro-batch are no part of any update.
    assert updates == [0, 0, 0, 1, 1, 1, 1, 2]
    assert logs[1] == logs[2] == logs[0]
    for final in finals[1:]:
        np.testing.assert_allclose(final, finals[0], atol=1e-5)


@pytest.mark.tensorflow
def test_mixed_float16_in_fit():
    keras.config.set_dtype_policy("mixed_float16")

    def scaled():
        return LossScaleOptimizer(OPTIMIZERS["noise"]())

    model = compiled(scaled, 2)
    assert type(model.optimizer) is LossScaleOptimizer
    fit(model, epochs=3)
    assert int(model.optimizer.iterations) == 4
    one = compiled(scaled)
    fit(one, epochs=3)
    # Products of half precision are rounded by other sums.
    np.testing.assert_allclose(weights(model), weights(one), atol=2e-3)


@pytest.mark.tensorflow
def test_run_that_is_saved_within_an_update_continues(tmp_path):
    def continued(model):
        x, y = regression_data()
        fit(model, x=x[BATCH:], y=y[BATCH:], epochs=2)
        return weights(model)

    def noise():
        return GradientNoise(GradientMix(accumulated(), seed=3), 0.01, seed=4)

    model = compiled(noise, 2)
    fit(model)  # four of six micro-batches
    model.save(tmp_path / "model.keras")
    sums = [v for v in model.optimizer.variables if "accumulator" in v.path]
    assert all(np.abs(v.numpy()).max() > 0 for v in sums)
    with mirrored_strategy(2).scope():
        loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert int(loaded.optimizer.inner_optimizer.iterations) == 1
    np.testing.assert_array_equal(continued(loaded), continued(model))


@pytest.mark.tensorflow
def test_sparse_gradients_are_accumulated():
    one, two = (
        descend(OPTIMIZERS["clip"], replicas, predict=look_up)
        for replicas in (0, 2)
    )
    np.testing.assert_allclose(two, one, atol=1e-5)


@pytest.mark.tensorflow  # Keras's steps are always compiled on JAX.
def test_accumulation_under_xla_on_one_device():
    np.testing.assert_allclose(
        train(OPTIMIZERS["noise"], epochs=5, jit_compile=True),
        train(OPTIMIZERS["noise"], epochs=5, jit_compile=False),
        atol=1e-5,
    )
