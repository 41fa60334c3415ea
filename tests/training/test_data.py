"""Data of every kind, in batches of any size."""

import keras
import numpy as np
import pytest

from keras_lbreg.training import Arm, Run
from keras_lbreg.training import data as data_module
from keras_lbreg.training.data import for_fit, replica_slices, times
from keras_lbreg.training.examine import examine
from tests.checks.small_workload import (
    blobs,
    build_model,
    small_workload,
)

LARGE = Arm("large")
MIX = Arm("mix", {"gradient_mix": {"groups": 4}})


def batches(workload, count, seed=0, epoch=0, arm=LARGE):
    run = Run(workload, arm, seed)
    stream = run.facts.train.batches(run, epoch)
    return [next(stream) for _ in range(count)]


def test_order_of_arrays_is_a_function_of_seed_and_epoch():
    x, y = blobs(48)
    expected = np.random.default_rng([7, 3]).permutation(48)
    first, second = batches(small_workload(), 2, seed=7, epoch=3)
    np.testing.assert_array_equal(first[0], x[expected[:24]])
    np.testing.assert_array_equal(second[1], y[expected[24:]])


def test_augmentation_is_a_function_of_seed_and_update():
    def augment(x, rng):
        return x + rng.normal(size=(len(x), 1)).astype("float32")

    plain, changed = small_workload(), small_workload(augmentation=augment)
    for epoch in (0, 2):
        [a, b], [c, d] = (batches(w, 2, 5, epoch) for w in (plain, changed))
        for step, before, after in ((0, a, c), (1, b, d)):
            rng = np.random.default_rng([5, 2 * epoch + step, 1])
            expected = augment(before[0], rng)
            np.testing.assert_array_equal(after[0], expected)


def test_sample_weights_are_multiplied():
    x, y = blobs(48)
    own = np.linspace(1, 2, 48).astype("float32")
    [(_, _labels, weights)] = batches(small_workload(), 1, arm=MIX)
    [(_, _, both)] = batches(small_workload(train_data=(x, y, own)), 1, arm=MIX)
    order = np.random.default_rng([0, 0]).permutation(48)[:24]
    np.testing.assert_allclose(both, weights * own[order], rtol=1e-6)
    # Convex: they have the mean one.
    assert np.mean(weights) == pytest.approx(1.0)
    assert len(np.unique(weights)) == 4


def test_weights_of_several_outputs():
    y = {"a": np.ones(4), "b": np.ones(4)}
    weights = np.arange(4.0)
    _, _, both = times((np.ones(4), y), weights)
    assert set(both) == {"a", "b"}
    given = {"a": np.full(4, 2.0), "b": np.ones(4)}
    _, _, both = times((np.ones(4), y, given), weights)
    np.testing.assert_array_equal(both["a"], 2 * weights)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (keras.utils.PyDataset(), "batches have their size already"),
        (iter([1]), "batches have their size already"),
        (np.ones((3, 4)), r"Received: an array of shape \(3, 4\)"),
        ((np.ones((3, 4)), np.ones(4)), r"arrays of \[3, 4\] samples"),
        ((np.ones((0, 4)), np.ones(0)), "at least one sample"),
        ((np.ones(3), [object()] * 3), "arrays of numbers or strings"),
        (None, "Received: a NoneType"),
        ((np.ones((3, 4)), None), "None in place of y"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_data_that_cannot_be_cut(data, words):
    for argument in ("train_data", "validation_data"):
        with pytest.raises((TypeError, ValueError), match=words) as error:
            small_workload(**{argument: data})
        assert f"`{argument}`" in str(error.value)


class Subclassed(keras.Model):
    def call(self, x):
        return x


def returning(model, compiled=True):
    if compiled:
        model.compile("sgd", "mse")
    return {"build_model": lambda: model}


def sequential(*layers):
    return keras.Sequential([*layers, keras.layers.Dense(3)])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train_data": (np.ones((48, 5), "float32"), blobs(48)[1])}, "train"),
        ({"train_data": (np.full((48, 4), np.nan), blobs(48)[1])}, "finite"),
        ({"build_model": lambda: None}, "returns NoneType"),
        (returning(sequential()), "knows|Input"),
        (returning(sequential(keras.Input((4,))), False), "not compiled"),
        (returning(Subclassed()), "Functional or"),
        ({"objective": "val_f1"}, "val_accuracy"),
    ],
    ids=["shape", "nan", "none", "shapes", "compile", "class", "objective"],
)
def test_what_cannot_be_trained_ends_before_any_training(changes, words):
    with pytest.raises(ValueError, match=words):
        examine(small_workload(**changes))


def test_batch_sizes_that_cannot_be():
    for size, words in ((49, "at most"), (8, "more than"), (0, "above 0")):
        with pytest.raises(ValueError, match=words):
            Run(small_workload(), LARGE, batch_size=size)


@pytest.mark.parametrize("samples", [2, 4, 5, 37, 2503])
@pytest.mark.parametrize("replicas", [1, 2])
def test_no_replica_is_without_a_sample(samples, replicas):
    if samples < 2 * replicas:
        return
    steps = replica_slices(samples, replicas)
    rows = [np.arange(samples)[part] for step in steps for part in step]
    assert all(len(part) > 0 for part in rows)
    np.testing.assert_array_equal(np.concatenate(rows), np.arange(samples))


# ---- tf.data ----


def dataset_of(x, y, batch=None):
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices((x, y))
    return dataset if batch is None else dataset.batch(batch)


def equal(first, second):
    for a, b in zip(first, second, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)


@pytest.mark.tensorflow
@pytest.mark.parametrize("batch", [None, 8])
def test_a_dataset_is_dealt_into_batches_of_any_size(batch):
    x, y = blobs(48)
    workload = small_workload(train_data=dataset_of(x, y, batch))
    assert Run(workload, LARGE).plan.steps_per_epoch == 2
    for epoch in (0, 1):
        first, second = batches(workload, 2, epoch=epoch)
        np.testing.assert_array_equal(first[0], x[:24])
        np.testing.assert_array_equal(second[1], y[24:])


@pytest.mark.tensorflow
def test_epochs_of_a_dataset_have_no_remainder():
    x, y = blobs(54)
    workload = small_workload(train_data=dataset_of(x, y))
    third = batches(workload, 3)[2]
    order = [*range(48, 54), *range(18)]
    equal([third], [(x[order], y[order])])
    equal([third], batches(workload, 1, epoch=1))


@pytest.mark.tensorflow
@pytest.mark.parametrize("arm", [LARGE, MIX], ids=lambda arm: arm.name)
def test_a_function_that_makes_a_dataset_is_reproducible(arm):
    x, y = blobs(50)

    def make():
        import tensorflow as tf

        def augment(x, y):
            return x + tf.random.normal(tf.shape(x)), y

        return dataset_of(x, y).shuffle(50).map(augment).batch(8)

    def make_workload():
        return small_workload(train_data=make, validation_data=(x, y))

    expected = batches(make_workload(), 4, arm=arm)
    assert len(expected[0]) == (3 if arm is MIX else 2)
    equal(batches(make_workload(), 4, arm=arm), expected)
    equal(batches(make_workload(), 2, epoch=1, arm=arm), expected[2:])
    [other] = batches(make_workload(), 1, seed=1, arm=arm)
    assert not np.array_equal(other[0], expected[0][0])


@pytest.mark.tensorflow
def test_fit_reads_what_a_generator_makes():
    """In order, with static shapes, and no thread to tune it."""
    x, y = blobs(48)
    run = Run(small_workload(train_data=lambda: dataset_of(x, y)), LARGE)
    stream = for_fit(run)
    assert [tuple(s.shape) for s in stream.element_spec] == [(24, 4), (24,)]
    assert stream.options().autotune.enabled is False
    equal(
        stream.take(2).as_numpy_iterator(), [(x[:24], y[:24]), (x[24:], y[24:])]
    )
    assert len(run.fit(run.build(), until=0.25)) == 1


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.repeat(), "infinite"),
        (lambda d: d.filter(lambda x, y: True), "unknown"),
        (lambda d: d.map(lambda x, y: x), r"Received: elements of Tensor"),
    ],
)
def test_datasets_that_cannot_be_cut(change, words):
    dataset = change(dataset_of(*blobs(48)))
    with pytest.raises(ValueError, match=words):
        small_workload(train_data=dataset)


@pytest.mark.tensorflow
@pytest.mark.parametrize("memory", [2**31, 0])
def test_validation_on_a_dataset_is_that_on_arrays(memory, monkeypatch):
    monkeypatch.setattr(data_module, "MEMORY", memory)
    x, y = blobs(40, seed=1)
    arrays = examine(small_workload()).validation
    dataset = examine(
        small_workload(validation_data=dataset_of(x, y, 7))
    ).validation
    model = build_model()
    results = dataset.evaluate(model)
    assert results == pytest.approx(arrays.evaluate(model), rel=1e-6)
    # Batches that are not read count as full ones.
    assert dataset.samples == (40 if memory else 42)
