import keras
import numpy as np
import pytest

from keras_lbreg.optimizers import (
    GradientMix,
    GradientNoise,
    LossScaleOptimizer,
    ReducedGradient,
)
from tests.checks.loss_scaling import data_with_infinite_target, loss_scale_log
from tests.checks.replicas import (
    apply,
    compiled,
    descend,
    fit,
    look_up,
    weights,
)


def clipped_noise():
    sgd = keras.optimizers.SGD(0.1, momentum=0.9, clipnorm=0.05)
    return GradientNoise(sgd, alpha=0.01, seed=1)


# Scale, finite steps in a row, completed updates.
SKIPPED_ONCE = [
    (2.0**15, 1, 1),
    (2.0**14, 0, 1),
    (2.0**14, 1, 2),
    (2.0**14, 2, 3),
]


class LossScaleLog(keras.callbacks.Callback):
    def __init__(self, rows):
        super().__init__()
        self.rows = rows

    def on_train_batch_end(self, batch, logs=None):
        loss_scale_log(self.rows)(self.model.optimizer)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("make_optimizer", "replicas"),
    [
        (clipped_noise, 0),  # with Keras's own
        (lambda: LossScaleOptimizer(clipped_noise()), 0),
        (lambda: LossScaleOptimizer(clipped_noise()), 2),
    ],
)
def test_infinite_gradient_in_fit(make_optimizer, replicas):
    keras.config.set_dtype_policy("mixed_float16")
    model = compiled(make_optimizer, replicas)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert not isinstance(
        model.optimizer.inner_optimizer, keras.optimizers.LossScaleOptimizer
    )
    x, y = data_with_infinite_target(sample=15)
    rows = []
    fit(model, x=x, y=y, callbacks=[LossScaleLog(rows)])
    assert rows == SKIPPED_ONCE
    assert np.isfinite(weights(model)).all()


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "inner",
    [
        clipped_noise,
        lambda: ReducedGradient(keras.optimizers.Nadam(0.1)),
        lambda: keras.optimizers.SGD(0.1),
    ],
    ids=["noise", "nadam", "sgd"],
)
@pytest.mark.parametrize(("replicas", "sample"), [(2, 0), (2, 15), (4, 15)])
def test_infinite_gradient_on_one_replica_skips_the_step_on_all(
    replicas, sample, inner
):
    finals, logs = [], []
    for k in (0, replicas):
        rows = []
        finals.append(
            descend(
                lambda: LossScaleOptimizer(inner()),
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
        lambda: LossScaleOptimizer(clipped_noise()),
        replicas=2,
        steps=3,
        data=data_with_infinite_target(sample=15),
        after_step=loss_scale_log(rows),
        run_eagerly=True,
    )
    assert rows == SKIPPED_ONCE[:3]
    assert np.isfinite(final).all()


@pytest.mark.tensorflow
def test_keras_alone_lets_the_infinity_in():
    final = descend(
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)),
        replicas=2,
        steps=4,
        data=data_with_infinite_target(sample=15),
    )
    assert not np.isfinite(final).all()


@pytest.mark.tensorflow
def test_kerass_own_is_refused_on_several_replicas():
    keras.config.set_dtype_policy("mixed_float16")
    with pytest.raises(ValueError, match=r"keras_lbreg.LossScaleOptimizer\("):
        compiled(clipped_noise, 2)


@pytest.mark.tensorflow
def test_multi_optimizer_around_wrappers_on_replicas():
    def around(factor):
        noise = GradientNoise(keras.optimizers.SGD(0.1), alpha=0.01, seed=1)
        return keras.optimizers.MultiOptimizer(
            keras.optimizers.OptimizerMap(noise), loss_scale_factor=factor
        )

    with pytest.raises(ValueError, match=r"`loss_scale_factor=1.0`"):
        descend(lambda: around(None), 2)
    np.testing.assert_allclose(
        descend(lambda: around(1.0), 2), descend(lambda: around(1.0)), atol=1e-5
    )


@pytest.mark.tensorflow
def test_sparse_gradients():
    def scaled():
        return LossScaleOptimizer(clipped_noise())

    np.testing.assert_allclose(
        descend(scaled, 2, predict=look_up),
        descend(scaled, predict=look_up),
        atol=1e-5,
    )


def test_grows_and_shrinks_like_kerass():
    histories = []
    for scaled in (keras.optimizers.LossScaleOptimizer, LossScaleOptimizer):
        variable = keras.Variable(np.zeros(2, "float32"))
        optimizer = scaled(
            keras.optimizers.SGD(1.0), initial_scale=8.0, dynamic_growth_steps=2
        )
        rows = []
        for value in (8.0, 8.0, np.inf, np.nan, 8.0, 8.0):
            apply(optimizer, [keras.ops.full((2,), value)], [variable])
            rows.append((float(optimizer.dynamic_scale), float(variable[0])))
        histories.append(rows)
    assert histories[0] == histories[1]
    assert [row[0] for row in histories[1]] == [8.0, 16.0, 8.0, 4.0, 4.0, 8.0]


def test_config_weights_and_names():
    optimizer = LossScaleOptimizer(
        "adam", initial_scale=np.float64(4.0), dynamic_growth_steps=np.int64(3)
    )
    config = keras.saving.serialize_keras_object(optimizer)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is LossScaleOptimizer
    assert again.get_config() == optimizer.get_config()
    variable = keras.Variable(np.zeros(2, "float32"))
    apply(optimizer, [keras.ops.ones(2)], [variable])
    again.build([variable])
    again.set_weights([np.array(v) for v in optimizer.variables])
    for one, other in zip(optimizer.variables, again.variables, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "wrapper", [ReducedGradient, GradientNoise, GradientMix]
)
@pytest.mark.parametrize(
    "scaled", [keras.optimizers.LossScaleOptimizer, LossScaleOptimizer]
)
def test_is_refused_inside_of_a_wrapper(wrapper, scaled):
    optimizer = scaled(keras.optimizers.SGD())
    with pytest.raises(ValueError, match="write `LossScaleOptimizer` outside"):
        wrapper(optimizer)
