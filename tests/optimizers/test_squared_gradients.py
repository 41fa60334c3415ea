"""`SquaredGradients` against gradients computed by hand."""

import keras
import numpy as np
import pytest

from keras_lbreg.optimizers import (
    GradientNoise,
    LossScaleOptimizer,
    ReducedGradient,
    SquaredGradients,
)
from tests.checks.loss_scaling import data_with_infinite_target
from tests.checks.replicas import (
    BATCH,
    SAMPLES,
    compiled,
    fit,
    regression_data,
    train,
)


def sgd(**arguments):
    return keras.optimizers.SGD(0.0, **arguments)


def linear():
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    model.set_weights([np.ones((5, 1)), np.zeros(1)])
    return model


def expected(replicas):
    """Means of |G_s|^2 and |G_b|^2 over the batches of an epoch."""
    x, y = (part.astype("float64") for part in regression_data())
    x = np.hstack([x, np.ones((SAMPLES, 1))])
    residual = x @ np.array([[1.0]] * 5 + [[0.0]]) - y
    gradients = (2 * x * residual).reshape(
        SAMPLES // BATCH, replicas, BATCH // replicas, 6
    )
    local = gradients.mean(axis=2)
    small = np.sum(local**2, axis=-1).mean()
    big = np.sum(local.mean(axis=1) ** 2, axis=-1).mean()
    return small, big


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("make_optimizer", "replicas"),
    [
        (lambda: SquaredGradients(sgd()), 4),
        (
            lambda: GradientNoise(
                SquaredGradients(
                    sgd(global_clipnorm=1e-3, loss_scale_factor=64.0)
                ),
                alpha=1.0,
            ),
            2,
        ),
        (lambda: SquaredGradients(sgd(gradient_accumulation_steps=2)), 2),
    ],
    ids=["plain", "scaled-clipped-noise", "accumulation"],
)
def test_lengths_on_several_replicas(make_optimizer, replicas):
    model = compiled(make_optimizer, replicas, make_model=linear)
    fit(model)
    optimizer = model.optimizer
    if isinstance(optimizer, GradientNoise):
        optimizer = optimizer.inner_optimizer
    assert optimizer.take_squares() == pytest.approx(
        expected(replicas), rel=1e-4
    )
    # It begins anew.
    assert optimizer.take_squares() is None
    fit(model)
    assert optimizer.take_squares() is not None


@pytest.mark.tensorflow
def test_half_precision():
    def half():
        model = keras.Sequential(
            [keras.Input((5,)), keras.layers.Dense(1, dtype="mixed_float16")]
        )
        model.set_weights([np.ones((5, 1)), np.zeros(1)])
        return model

    model = compiled(
        lambda: LossScaleOptimizer(
            SquaredGradients(sgd()), initial_scale=512.0
        ),
        2,
        make_model=half,
    )
    fit(model)
    found = model.optimizer.inner_optimizer.take_squares()
    assert found == pytest.approx(expected(2), rel=5e-3)


@pytest.mark.tensorflow
def test_the_update_is_that_of_the_base():
    def momentum(wrapper):
        return lambda: wrapper(keras.optimizers.SGD(0.1, momentum=0.9))

    np.testing.assert_array_equal(
        train(momentum(SquaredGradients), replicas=2),
        train(momentum(ReducedGradient), replicas=2),
    )


@pytest.mark.tensorflow
def test_a_gradient_that_is_not_finite_is_left_out():
    model = compiled(lambda: SquaredGradients(sgd()), 2, make_model=linear)
    # Of the second batch; after it, the weights are not finite either.
    x, y = data_with_infinite_target(sample=0)
    fit(model, x=x, y=y)
    small, big = model.optimizer.take_squares()
    assert np.isfinite(small)
    assert np.isfinite(big)


def test_one_replica_measures_nothing():
    model = compiled(lambda: SquaredGradients(sgd()), make_model=linear)
    fit(model)
    assert model.optimizer.take_squares() is None


def test_it_is_saved_with_the_model(tmp_path):
    model = compiled(lambda: SquaredGradients(sgd()), make_model=linear)
    fit(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.optimizer, SquaredGradients)
