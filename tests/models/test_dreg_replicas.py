"""DReg under `MirroredStrategy`: 1, 2 and 4 replicas train alike."""

import keras
import numpy as np
import pytest

import keras_lbreg
from tests.checks.replicas import mirrored_strategy

pytestmark = pytest.mark.tensorflow

to_numpy = keras.ops.convert_to_numpy
RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 6, 6, 2)).astype("float32")
LABELS = np.arange(16) % 3


def model_with(paths, weight):
    inputs = keras.Input((6, 6, 2))
    h = keras.layers.Conv2D(2, 3, padding="same", name="conv")(inputs)
    h = keras.layers.LayerNormalization()(h)
    h = keras.layers.Add()([h, inputs])
    h = keras.layers.Flatten()(h)
    outputs = keras.layers.Dense(3, activation="softmax")(h)
    return keras_lbreg.apply_dreg(
        keras.Model(inputs, outputs),
        weight=weight,
        distance="frobenius",
        paths=paths,
        seed=1,
    )


def trajectory(replicas, paths="both", weight=0.5):
    """Weights after three steps, and what `fit` logged."""
    keras.utils.set_random_seed(0)
    with mirrored_strategy(replicas).scope():
        model = model_with(paths, weight)
        model.compile(
            keras.optimizers.SGD(0.1, momentum=0.9),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
    # As one epoch: each makes iterators anew.
    logs = model.fit(
        np.concatenate([X] * 3),
        np.concatenate([LABELS] * 3),
        batch_size=16,
        shuffle=False,
        verbose=0,
    ).history
    return [v.numpy() for v in model.trainable_variables], logs


@pytest.fixture(scope="module")
def one_replica():
    return trajectory(1)


@pytest.mark.parametrize(
    "replicas", [2, pytest.param(4, marks=pytest.mark.slow)]
)
def test_replicas_follow_the_same_trajectory(one_replica, replicas):
    expected, expected_logs = one_replica
    weights, logs = trajectory(replicas)
    for a, b in zip(weights, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    for name in ("loss", "dreg_loss", "accuracy", "dreg_distance/conv"):
        np.testing.assert_allclose(
            logs[name], expected_logs[name], rtol=1e-4, err_msg=name
        )


def test_the_penalty_matters_to_the_comparison(one_replica):
    weights, _ = trajectory(2, weight=0.0)
    differences = [
        np.abs(a - b).max()
        for a, b in zip(weights, one_replica[0], strict=True)
    ]
    assert max(differences) > 1e-3


def test_split_batch_normalization_and_odd_replica_batches():
    with mirrored_strategy(2).scope():
        inputs = keras.Input((6, 6, 2))
        h = keras.layers.Conv2D(2, 3)(inputs)
        h = keras.layers.BatchNormalization(momentum=0.5)(h)
        h = keras.layers.Flatten()(h)
        outputs = keras.layers.Dense(3, activation="softmax")(h)
        model = keras_lbreg.apply_dreg(
            keras.Model(inputs, outputs), paths="split"
        )
        model.compile("sgd", "sparse_categorical_crossentropy")
    # Replicas get 3 and 3, then 1 and 1 samples.
    logs = model.fit(
        X[:8], LABELS[:8], batch_size=6, epochs=1, verbose=0
    ).history
    assert np.isfinite(logs["loss"]).all()
    for variable in model.variables:
        assert np.isfinite(variable.numpy().astype("float32")).all()


def normalized_model(ghost_batch_size):
    """A model with a normalization behind the fork, on both paths."""
    inputs = keras.Input((6, 6, 2))
    h = keras.layers.Conv2D(3, 3, name="conv")(inputs)
    h = keras.layers.BatchNormalization(momentum=0.5, name="bn")(h)
    h = keras.layers.Activation("tanh")(h)
    h = keras.layers.Flatten()(h)
    outputs = keras.layers.Dense(3, activation="softmax")(h)
    model = keras.Model(inputs, outputs)
    if ghost_batch_size:
        model = keras_lbreg.apply_ghost_batch_norm(model, ghost_batch_size)
    return keras_lbreg.apply_dreg(
        model, "conv", init_distance=1.0, weight=0.5, seed=1
    )


def train_normalized(replicas, ghost_batch_size):
    keras.utils.set_random_seed(0)
    with mirrored_strategy(replicas).scope():
        model = normalized_model(ghost_batch_size)
        model.compile(
            keras.optimizers.SGD(0.1, momentum=0.9),
            "sparse_categorical_crossentropy",
        )
    x, labels = (np.concatenate([part] * 4) for part in (X, LABELS))
    model.fit(x, labels, batch_size=16, shuffle=False, verbose=0)
    return model


@pytest.fixture(scope="module")
def ghosts_on_one_replica():
    # Each path has 16 samples on one device: two ghosts of 8.
    return train_normalized(1, 8)


@pytest.mark.parametrize("ghost_batch_size", [None, 8])
def test_normalization_behind_the_fork(ghosts_on_one_replica, ghost_batch_size):
    """A replica's 8 samples of a path are one ghost of the whole batch."""
    model = train_normalized(2, ghost_batch_size)
    for a, b in zip(
        model.trainable_variables,
        ghosts_on_one_replica.trainable_variables,
        strict=True,
    ):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-5)
    right, left = (
        [to_numpy(v) for v in statistics]
        for statistics in (
            model.get_layer("bn").right_statistics,
            model.get_layer("bn").left_statistics,
        )
    )
    assert np.abs(right[0] - left[0]).max() > 1e-3


def test_whole_batches_differ_from_ghosts(ghosts_on_one_replica):
    model = train_normalized(1, None)
    differences = [
        np.abs(a.numpy() - b.numpy()).max()
        for a, b in zip(
            model.trainable_variables,
            ghosts_on_one_replica.trainable_variables,
            strict=True,
        )
    ]
    assert max(differences) > 1e-3
