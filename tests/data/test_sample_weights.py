import pickle
import time
import types

import keras
import numpy as np
import pytest

from keras_lbreg.data import mix_sample_weights
from keras_lbreg.random.mixing_weights import mixing_weights
from tests.checks.replicas import BATCH, compiled, regression_data

SEED = 3


def expected(step, groups, batch_size=BATCH, **law):
    weights = groups * mixing_weights(SEED, step, groups, **law, xp=np)
    return np.concatenate(
        [
            np.full(len(part), weight)
            for part, weight in zip(
                np.array_split(np.arange(batch_size), groups),
                weights,
                strict=True,
            )
        ]
    )


def batches(extra=()):
    x, y = regression_data()
    arrays = (x, y, *extra)
    for start in range(0, len(x), BATCH):
        yield tuple(array[start : start + BATCH] for array in arrays)


class Sequence(keras.utils.PyDataset):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.batches = list(batches())
        self.epochs_begun = self.epochs_ended = 0

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]

    def on_epoch_begin(self):
        self.epochs_begun += 1

    def on_epoch_end(self):
        self.epochs_ended += 1


def test_batches_get_the_weights_of_their_step():
    mixed = mix_sample_weights(batches(), groups=4, seed=SEED, initial_step=5)
    assert isinstance(mixed, types.GeneratorType)
    count = 0
    for step, ((x, y, weights), (x0, y0)) in enumerate(
        zip(mixed, batches(), strict=True), start=5
    ):
        np.testing.assert_array_equal(x, x0)
        np.testing.assert_array_equal(y, y0)
        np.testing.assert_allclose(weights, expected(step, 4), rtol=1e-6)
        assert weights.dtype == np.float32
        count += 1
    assert count == 4


def test_gaussian_law():
    law = {"law": "gaussian", "stddev": 0.5}
    mixed = mix_sample_weights(batches(), 4, seed=SEED, **law)
    np.testing.assert_allclose(next(mixed)[2], expected(0, 4, **law), rtol=1e-6)


def test_keras_controls_the_default_seed():
    def first_weights(seed):
        keras.utils.set_random_seed(seed)
        return next(mix_sample_weights(batches(), 4))[2]

    np.testing.assert_array_equal(first_weights(1), first_weights(1))
    assert (first_weights(1) != first_weights(2)).all()


def test_given_weights_are_multiplied():
    given = np.linspace(0, 1, 64).astype("float32")
    mixed = mix_sample_weights(batches([given]), 4, seed=SEED)
    weights = next(mixed)[2]
    np.testing.assert_allclose(
        weights, given[:BATCH] * expected(0, 4), rtol=1e-6
    )


def test_weights_of_timesteps_and_outputs_are_multiplied():
    given = {"a": np.ones((6, 3), "float32"), "b": np.ones(6, "float32")}
    batch = (np.ones((6, 2)), {"a": np.ones((6, 3)), "b": np.ones(6)}, given)
    weights = next(mix_sample_weights([batch], 2, seed=SEED))[2]
    rows = expected(0, 2, batch_size=6)
    np.testing.assert_allclose(weights["a"], np.tile(rows[:, None], 3))
    np.testing.assert_allclose(weights["b"], rows)


@pytest.mark.parametrize("size", [1, 3, 9])
def test_ragged_batches(size):
    batch = (np.ones((size, 2)), np.ones(size))
    weights = next(mix_sample_weights([batch], 4, seed=SEED))[2]
    np.testing.assert_allclose(weights, expected(0, 4, size), rtol=1e-6)


def test_weighted_loss_is_the_mixed_loss():
    model = compiled(lambda: keras.optimizers.SGD(0.1))
    x, y, weights = next(mix_sample_weights(batches(), 4, seed=SEED))
    errors = (keras.ops.convert_to_numpy(model(x)) - y) ** 2
    group_losses = errors.reshape(4, -1).mean(1)
    mixed = group_losses @ mixing_weights(SEED, 0, 4, xp=np)
    loss = model.test_on_batch(x, y, weights)
    assert float(loss) == pytest.approx(mixed, rel=1e-5)


class WeightsSeen(keras.losses.Loss):
    """A loss that writes down the sample weights that reach it."""

    def __init__(self):
        super().__init__()
        self.rows = []

    def __call__(self, y_true, y_pred, sample_weight=None):
        self.rows.append(keras.ops.convert_to_numpy(sample_weight))
        return keras.ops.mean((y_true - y_pred) ** 2)

    def call(self, y_true, y_pred):
        return keras.ops.mean((y_true - y_pred) ** 2)


def weights_seen_by_fit(data, epochs=2, **kwargs):
    seen = WeightsSeen()
    model = keras.Sequential([keras.layers.Dense(1)])  # built by `fit`
    model.compile("sgd", seen, run_eagerly=True, jit_compile=False)
    model.fit(data, epochs=epochs, verbose=0, shuffle=False, **kwargs)
    # Symbolic calls before the first step have no values to look at.
    return seen.rows[-4 * epochs :]


def assert_steps(rows, first=0):
    for step, row in enumerate(rows, start=first):
        np.testing.assert_allclose(
            np.ravel(row), expected(step, 4), rtol=1e-6, err_msg=str(step)
        )


@pytest.mark.tensorflow
def test_fit_with_generator():
    def endless():
        while True:
            yield from batches()

    mixed = mix_sample_weights(endless(), 4, seed=SEED)
    assert_steps(weights_seen_by_fit(mixed, steps_per_epoch=4))


class SlowlyBegun(Sequence):
    """Gives workers the time to read ahead before an epoch has begun."""

    def on_epoch_begin(self):
        super().on_epoch_begin()
        time.sleep(0.1)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "reading",
    [
        {},
        {"workers": 3},
        {"workers": 2, "use_multiprocessing": True},
    ],
    ids=["none", "threads", "processes"],
)
def test_fit_with_py_dataset(reading):
    data = SlowlyBegun(**reading)
    mixed = mix_sample_weights(data, 4, seed=SEED, initial_step=2)
    assert isinstance(mixed, keras.utils.PyDataset)
    # A second `fit` goes on.
    rows = weights_seen_by_fit(mixed) + weights_seen_by_fit(mixed)
    assert_steps(rows, first=2)
    assert data.epochs_begun == 4
    assert mixed.epoch == 4


@pytest.mark.tensorflow
@pytest.mark.parametrize("workers", [1, 3])
def test_fit_with_endless_py_dataset(workers):
    class Endless(keras.utils.PyDataset):
        num_batches = None

        def __getitem__(self, index):
            return list(batches())[index % 4]

    mixed = mix_sample_weights(Endless(workers=workers), 4, seed=SEED)
    assert_steps(weights_seen_by_fit(mixed, steps_per_epoch=4))


@pytest.mark.tensorflow
def test_no_draw_comes_twice_where_epochs_are_left_early():
    mixed = mix_sample_weights(SlowlyBegun(workers=2), 4, seed=SEED)
    seen = WeightsSeen()
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", seen, run_eagerly=True, jit_compile=False)
    for _ in range(3):
        model.fit(mixed, steps_per_epoch=3, verbose=0, shuffle=False)
    rows = {tuple(np.ravel(row)) for row in seen.rows if np.ndim(row)}
    assert len(rows) == 9


def test_py_dataset_can_be_sent_to_processes():
    mixed = mix_sample_weights(Sequence(), 4, seed=SEED, initial_step=2)
    again = pickle.loads(pickle.dumps(mixed))
    np.testing.assert_array_equal(again[1][2], mixed[1][2])


def test_py_dataset_counts_the_epochs_that_keras_trains():
    mixed = mix_sample_weights(Sequence(), 4, seed=SEED)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(mixed, epochs=3, verbose=0)
    assert mixed.epoch == 3


def test_py_dataset_keeps_its_settings():
    mixed = mix_sample_weights(Sequence(workers=3, max_queue_size=7), 4)
    assert (mixed.workers, mixed.max_queue_size) == (3, 7)
    assert mixed.num_batches == 4


@pytest.mark.tensorflow
@pytest.mark.parametrize("repeat", [False, True])
def test_fit_with_tf_data(repeat):
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices(regression_data()).batch(BATCH)
    if repeat:
        data = data.repeat()
    mixed = mix_sample_weights(data, 4, seed=SEED)
    assert mixed.cardinality() == data.cardinality()
    rows = weights_seen_by_fit(mixed, steps_per_epoch=4 if repeat else None)
    assert_steps(rows)


@pytest.mark.tensorflow
def test_tf_data_has_static_shapes_and_given_weights():
    import tensorflow as tf

    x, y = regression_data()
    given = np.linspace(0, 1, 64).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((x, y, given))
    data = data.batch(BATCH, drop_remainder=True)
    mixed = mix_sample_weights(data, 4, seed=SEED)
    assert mixed.element_spec[2].shape == (BATCH,)
    weights = next(iter(mixed))[2]
    np.testing.assert_allclose(
        weights, given[:BATCH] * expected(0, 4), rtol=1e-6
    )


@pytest.mark.tensorflow
def test_tf_data_pass_that_is_left_early_does_not_count():
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices(regression_data()).batch(BATCH)
    mixed = mix_sample_weights(data, 4, seed=SEED, initial_step=3)
    next(iter(mixed))
    assert_steps([weights for _, _, weights in mixed], first=3)
    assert_steps([weights for _, _, weights in mixed], first=7)


@pytest.mark.tensorflow
def test_tf_data_of_unknown_cardinality_goes_on():
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices(regression_data())
    data = data.filter(lambda x, y: True).batch(BATCH)
    mixed = mix_sample_weights(data, 4, seed=SEED)
    assert_steps([weights for _, _, weights in mixed], first=0)
    assert_steps([weights for _, _, weights in mixed], first=4)


@pytest.mark.parametrize(
    "dataset", [np.ones((4, 2)), (np.ones((4, 2)), np.ones(4)), {}, 3, None]
)
def test_arrays_are_no_dataset(dataset):
    with pytest.raises(TypeError, match="argument `dataset`"):
        mix_sample_weights(dataset, 4)


@pytest.mark.parametrize("batch", [np.ones(4), (np.ones(4),), {"x": 1}])
def test_batches_without_targets(batch):
    with pytest.raises(ValueError, match="need targets"):
        next(mix_sample_weights([batch], 2))


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("groups", 0),
        ("groups", 2.5),
        ("groups", True),
        ("initial_step", -1),
        ("concentration", 0),
        ("law", "beta"),
        ("stddev", -1.0),
        ("seed", -1),
    ],
)
def test_invalid_arguments(argument, value):
    with pytest.raises(ValueError, match=f"argument `{argument}`"):
        mix_sample_weights([], **({"groups": 2} | {argument: value}))
