import warnings

import keras
import numpy as np
import pytest

from keras_lbreg.optimizers import GradientMix, GradientNoise, ReducedGradient
from tests.checks.loss_scaling import data_with_infinite_target, loss_scale_log
from tests.checks.replicas import (
    compiled,
    descend,
    fit,
    make_model,
    mirrored_strategy,
    train,
    weights,
)


def sgd(**kwargs):
    return keras.optimizers.SGD(0.1, momentum=0.9, **kwargs)


def constrained_model():
    model = make_model()
    model.layers[0].kernel.constraint = keras.constraints.MaxNorm(0.5)
    return model


@pytest.mark.parametrize(
    "make_optimizer",
    [
        sgd,
        lambda: keras.optimizers.Nadam(0.01, clipvalue=0.1),
        lambda: keras.optimizers.AdamW(
            0.01, use_ema=True, ema_overwrite_frequency=3, global_clipnorm=0.1
        ),
        lambda: sgd(gradient_accumulation_steps=2, clipnorm=0.1),
        lambda: sgd(loss_scale_factor=64.0),
    ],
    ids=["sgd", "nadam", "adamw-ema", "accumulation", "loss-scale"],
)
def test_one_device_does_what_the_inner_optimizer_does(make_optimizer):
    plain = train(make_optimizer, make_model=constrained_model)
    wrapped = train(
        lambda: ReducedGradient(make_optimizer()), make_model=constrained_model
    )
    np.testing.assert_array_equal(plain, wrapped)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "clip",
    [{"clipnorm": 0.05}, {"global_clipnorm": 0.05}, {"clipvalue": 0.01}],
    ids=lambda clip: next(iter(clip)),
)
def test_clipping_is_the_same_on_one_and_two_replicas(clip):
    def wrapped():
        return ReducedGradient(sgd(**clip))

    np.testing.assert_allclose(
        descend(wrapped, replicas=2), descend(wrapped), atol=1e-5
    )


@pytest.mark.tensorflow
def test_keras_alone_clips_each_replica():
    def stock():
        return sgd(global_clipnorm=0.05)

    difference = descend(stock, replicas=2) - descend(stock)
    assert np.abs(difference).max() > 1e-3


@pytest.mark.tensorflow
def test_weight_decay_and_averaging_on_four_replicas():
    def wrapped():
        optimizer = keras.optimizers.AdamW(
            0.01, weight_decay=0.1, use_ema=True, clipvalue=0.1
        )
        return ReducedGradient(optimizer)

    np.testing.assert_allclose(
        descend(wrapped, replicas=4), descend(wrapped), atol=1e-5
    )


@pytest.mark.tensorflow
def test_wrapping_leaves_the_optimizer_itself_alone():
    def inner_of_wrapper():
        return ReducedGradient(sgd(clipnorm=0.05)).inner_optimizer

    def stock():
        return sgd(clipnorm=0.05)

    np.testing.assert_array_equal(
        descend(inner_of_wrapper, replicas=2), descend(stock, replicas=2)
    )


def traffic(make_optimizer):
    """Reductions in the traced step of two replicas: their sizes in bytes."""
    import tensorflow as tf

    class Counting(tf.distribute.ReductionToOneDevice):
        def reduce(self, reduce_op, per_replica_value, *args, **kwargs):
            sizes.append([nbytes(per_replica_value)])
            return super().reduce(reduce_op, per_replica_value, *args, **kwargs)

        def batch_reduce(self, reduce_op, pairs, *args, **kwargs):
            sizes.append([nbytes(value) for value, _ in pairs])
            return super().batch_reduce(reduce_op, pairs, *args, **kwargs)

    def nbytes(per_replica):
        value = per_replica.values[0]
        return value.shape.num_elements() * value.dtype.size

    sizes = []
    descend(make_optimizer, 2, steps=1, cross_device_ops=Counting())
    return sizes


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "make_optimizer",
    [
        lambda: ReducedGradient(sgd(clipnorm=0.1)),
        lambda: GradientMix(sgd(), seed=1),
        lambda: GradientNoise(sgd(), seed=1),
        lambda: GradientNoise(GradientMix(sgd(), seed=1), seed=1),
        lambda: keras.optimizers.LossScaleOptimizer(GradientMix(sgd(), seed=1)),
        lambda: ReducedGradient(sgd(gradient_accumulation_steps=2)),
        lambda: ReducedGradient(sgd(use_ema=True, ema_overwrite_frequency=2)),
    ],
    ids=[
        "clip",
        "mix",
        "noise",
        "noise-mix",
        "loss-scaling",
        "accumulation",
        "averaging",
    ],
)
def test_no_collective_and_no_byte_is_added(make_optimizer):
    one_reduction = [[5 * 4, 4]]  # kernel and bias in float32
    assert traffic(sgd) == one_reduction
    assert traffic(make_optimizer) == one_reduction


class LossScaleCallback(keras.callbacks.Callback):
    def __init__(self, rows):
        super().__init__()
        self.rows = rows

    def on_train_batch_end(self, batch, logs=None):
        loss_scale_log(self.rows)(self.model.optimizer)


def clipped_noise():
    return GradientNoise(sgd(clipnorm=0.05), alpha=0.01, seed=1)


SKIPPED_ONCE = [
    (2.0**15, 1, 1),
    (2.0**14, 0, 1),
    (2.0**14, 1, 2),
    (2.0**14, 2, 3),
]


@pytest.mark.parametrize("replicas", [0, 2])
@pytest.mark.tensorflow
def test_infinite_gradient_under_mixed_float16(replicas):
    keras.config.set_dtype_policy("mixed_float16")
    model = compiled(clipped_noise, replicas)
    assert type(model.optimizer) is keras.optimizers.LossScaleOptimizer
    x, y = data_with_infinite_target(sample=15)
    rows = []
    fit(model, x=x, y=y, callbacks=[LossScaleCallback(rows)])
    assert rows == SKIPPED_ONCE
    assert np.isfinite(weights(model)).all()


@pytest.mark.parametrize(
    ("replicas", "sample"), [(2, 0), (2, 15), (4, 5), (4, 15)]
)
@pytest.mark.tensorflow
def test_infinite_gradient_on_one_replica_skips_the_step_on_all(
    replicas, sample
):
    def scaled():
        return keras.optimizers.LossScaleOptimizer(clipped_noise())

    finals, logs = [], []
    for k in (0, replicas):
        rows = []
        finals.append(
            descend(
                scaled,
                k,
                steps=4,
                data=data_with_infinite_target(sample),
                after_step=loss_scale_log(rows),
            )
        )
        logs.append(rows)
    assert logs == [SKIPPED_ONCE, SKIPPED_ONCE]
    np.testing.assert_allclose(finals[1], finals[0], atol=1e-5)


@pytest.mark.tensorflow
def test_infinite_gradient_is_skipped_eagerly_too():
    rows = []
    final = descend(
        lambda: keras.optimizers.LossScaleOptimizer(ReducedGradient(sgd())),
        replicas=2,
        steps=3,
        data=data_with_infinite_target(sample=15),
        after_step=loss_scale_log(rows),
        run_eagerly=True,
    )
    assert rows == SKIPPED_ONCE[:3]
    assert np.isfinite(final).all()


def look_up(x, kernel, bias):
    import tensorflow as tf

    rows = tf.cast(tf.abs(10 * x[:, :3]), "int32") % 5
    return tf.reduce_sum(tf.gather(kernel.value, rows), axis=1) + bias


@pytest.mark.parametrize(
    "make_optimizer",
    [
        lambda: GradientNoise(keras.optimizers.SGD(0.1), alpha=0.01, seed=1),
        lambda: ReducedGradient(keras.optimizers.SGD(0.1, clipnorm=0.01)),
        lambda: ReducedGradient(keras.optimizers.SGD(0.1)),
    ],
    ids=["noise", "clip", "plain"],
)
@pytest.mark.tensorflow
def test_sparse_gradients(make_optimizer):
    np.testing.assert_allclose(
        descend(make_optimizer, replicas=2, predict=look_up),
        descend(make_optimizer, predict=look_up),
        atol=1e-5,
    )


@pytest.mark.tensorflow
def test_sparse_gradients_stay_sparse_where_nothing_needs_them_dense():
    import tensorflow as tf

    seen = []

    class Watch(ReducedGradient):
        def transform_reduced_gradients(self, gradients, indices, step):
            seen.extend(isinstance(g, tf.IndexedSlices) for g in gradients)
            return gradients

    descend(
        lambda: Watch(GradientMix(sgd(), seed=1)),
        replicas=2,
        steps=1,
        predict=look_up,
    )
    assert seen == [True, False] * 2  # kernel and bias, on both replicas


@pytest.mark.tensorflow
def test_cross_replica_context_is_refused():
    with mirrored_strategy(2).scope():
        variable = keras.Variable(np.ones(2, "float32"))
        optimizer = ReducedGradient("sgd")
        with pytest.raises(RuntimeError, match=r"strategy.run"):
            optimizer.apply([keras.ops.ones(2)], [variable])


def test_xla_on_one_device():
    np.testing.assert_allclose(
        train(clipped_noise, jit_compile=True),
        train(clipped_noise, jit_compile=False),
        atol=1e-5,
    )


def test_apply_builds_and_skips_variables_without_gradient():
    first, second = (keras.Variable(np.ones(2, "float32")) for _ in range(2))
    optimizer = GradientNoise(keras.optimizers.SGD(0.1), alpha=0.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        optimizer.apply([None, keras.ops.ones(2)], [first, second])
    assert any("Gradients do not exist" in str(w.message) for w in caught)
    np.testing.assert_allclose(first, [1.0, 1.0])
    np.testing.assert_allclose(second, [0.9, 0.9])
    optimizer.apply([keras.ops.ones(2), keras.ops.ones(2)])
    np.testing.assert_allclose(first, [0.9, 0.9])


def test_variables_that_keras_overwrites_get_their_gradient():
    scale = keras.Variable(np.ones(2, "float32"))
    scale.overwrite_with_gradient = True
    weight = keras.Variable(np.ones(2, "float32"))
    optimizer = GradientNoise(keras.optimizers.SGD(0.1), alpha=1.0, seed=1)
    optimizer.apply(
        [keras.ops.full((2,), 7.0), keras.ops.zeros(2)], [scale, weight]
    )
    np.testing.assert_array_equal(scale, [7.0, 7.0])
    assert np.abs(np.asarray(weight) - 1.0).min() > 0


def test_apply_without_variables_before_build():
    optimizer = ReducedGradient("sgd")
    with pytest.raises(ValueError, match="optimizer is not built"):
        optimizer.apply([np.ones(2)])


def test_two_wrappers_call_the_hooks_in_one_pipeline():
    calls = []

    class Recorder(ReducedGradient):
        def transform_local_gradients(self, gradients, step):
            calls.append((type(self).__name__, "local"))
            return gradients

        def transform_reduced_gradients(self, gradients, indices, step):
            calls.append((type(self).__name__, "reduced", tuple(indices)))
            return gradients

    class Other(Recorder):
        pass

    variables = [keras.Variable(np.ones(2, "float32")) for _ in range(2)]
    optimizer = Recorder(Other("sgd"))
    optimizer.apply([keras.ops.ones(2)] * 2, variables)
    assert calls == [
        ("Recorder", "local"),
        ("Other", "local"),
        ("Recorder", "reduced", (0, 1)),
        ("Other", "reduced", (0, 1)),
    ]
