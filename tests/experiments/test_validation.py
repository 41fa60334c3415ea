import keras
import numpy as np
import pytest

from keras_lbreg.experiments import choose_strategy, validation
from keras_lbreg.experiments.validation import (
    LARGEST_BATCH,
    batch_size,
    check_samples,
    replica_slices,
)


@pytest.mark.parametrize("replicas", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("samples", [16, 17, 23, 40, 773, 1000, 2503])
def test_replica_slices(samples, replicas):
    steps = replica_slices(samples, replicas)
    covered = [
        n for step in steps for part in step for n in range(samples)[part]
    ]
    assert covered == list(range(samples))
    sizes = np.array([[p.stop - p.start for p in step] for step in steps])
    assert sizes.shape[1] == replicas
    assert sizes.min() >= 1
    assert sizes.sum(axis=1).max() <= LARGEST_BATCH
    # Keras averages the first step over the replicas.
    assert len(set(sizes[0])) == 1


def test_validation_sets_that_are_too_small():
    check_samples(8, 4)
    with pytest.raises(ValueError, match=r"two samples.* of 4.*7 samples"):
        check_samples(7, 4)


@pytest.mark.parametrize("samples", [773, 1000, 2503, 4000])
@pytest.mark.parametrize("devices", [1, 2, 4, 7, 8])
def test_batches_are_all_divisible_or_all_not(samples, devices):
    """Keras on JAX lays all of them out like the first one."""
    size = batch_size(samples, devices)
    sizes = {size, samples % size} if samples > size else {samples}
    divisible = {n % devices == 0 for n in sizes - {0}}
    if samples % devices == 0:
        assert divisible == {True}
    else:
        # The last one is copied like the first.
        assert samples <= size or size % devices


@pytest.mark.parametrize("samples", [33, 37, 40])
def test_metrics_are_exact(samples, monkeypatch):
    monkeypatch.setattr(validation, "LARGEST_BATCH", 16)
    several = {"tensorflow": "mirrored", "jax": "jax-data-parallel"}
    placement = choose_strategy(several[keras.backend.backend()], devices=4)
    rng = np.random.default_rng(samples)
    x = rng.normal(size=(samples, 3)).astype("float32")
    y = rng.integers(0, 2, samples).astype("int32")
    with placement.scope():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        model.compile(
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        given = validation.for_fit(placement, x, y)
        data = given.pop("validation_data")
        arrays = data if isinstance(data, tuple) else (data,)
        if placement.replicas > 1:
            with pytest.warns(UserWarning, match="ran out of data"):
                logs = evaluate(model, *arrays)
        else:
            logs = evaluate(
                model, *arrays, batch_size=given["validation_batch_size"]
            )
    logits = x @ np.array(model.weights[0]) + np.array(model.weights[1])
    log_z = np.log(np.exp(logits).sum(axis=1))
    loss = (log_z - logits[np.arange(samples), y]).mean()
    assert logs["loss"] == pytest.approx(loss, rel=1e-5)
    accuracy = (logits.argmax(axis=1) == y).mean()
    assert logs["accuracy"] == pytest.approx(accuracy)


def evaluate(model, *data, **kwargs):
    return model.evaluate(*data, verbose=0, return_dict=True, **kwargs)
