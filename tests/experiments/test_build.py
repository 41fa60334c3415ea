import itertools

import keras
import numpy as np
import pytest

from keras_lbreg.data import load_dataset
from keras_lbreg.data.dataset import Dataset
from keras_lbreg.experiments import Experiment, build
from keras_lbreg.experiments.networks.c1 import c1
from keras_lbreg.experiments.networks.fully_connected import fully_connected
from keras_lbreg.experiments.networks.small_convolution import (
    small_convolution,
)
from keras_lbreg.experiments.plan import make_plan

DIGITS = load_dataset("digits")


def plan(arm, **kwargs):
    return make_plan(Experiment("digits", **kwargs), arm, DIGITS)


def images(shape, classes=10):
    x = np.random.default_rng(0).integers(0, 255, (20, *shape), "uint8")
    y = np.arange(20) % classes
    return Dataset("images", x, y, x, y, classes)


def first_batches(data, count):
    return [
        [np.array(part) for part in batch]
        for batch in itertools.islice(iter(data), count)
    ]


def trainable_parameters(model):
    return sum(np.prod(v.shape) for v in model.trainable_variables)


def test_networks_have_the_papers_sizes():
    f1 = fully_connected(images((28, 28, 1)), (512,) * 5)
    assert trainable_parameters(f1) == 1_462_794
    assert trainable_parameters(c1(images((32, 32, 3)))) == 1_388_490


def test_networks_normalise_raw_inputs_themselves():
    dataset = images((9, 7, 3))
    model = small_convolution(dataset, widths=(4, 4))
    [normalization] = [
        x for x in model.layers if isinstance(x, keras.layers.Normalization)
    ]
    x = keras.ops.convert_to_numpy(normalization(dataset.x_train))
    np.testing.assert_allclose(x.mean(axis=(0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(x.std(axis=(0, 1, 2)), 1, atol=1e-4)
    assert model(dataset.x_train).shape == (20, 10)


def test_data_is_the_same_from_any_epoch_on():
    chosen = plan("lr_mix")
    straight = first_batches(build.build_data(chosen, DIGITS, seed=1), 6)
    resumed = first_batches(
        build.build_data(chosen, DIGITS, seed=1, initial_epoch=2), 2
    )
    for ours, theirs in zip(resumed, straight[4:], strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)
    # The mix: eight groups of 64 with one weight each.
    weights = straight[0][2].reshape(8, 64)
    assert (weights == weights[:, :1]).all()
    assert weights.mean() == pytest.approx(1)
    assert weights.std() > 0.1


def test_limited_data_ends():
    data = build.build_data(plan("large_batch"), DIGITS, seed=0, limit=1)
    assert len(first_batches(data, 5)) == 1


def test_model_is_a_function_of_the_seed():
    chosen = plan("lr_dreg")
    first, second, other = (
        build.build_model(chosen, DIGITS, seed).get_weights()
        for seed in (0, 0, 1)
    )
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    kernels = [i for i, w in enumerate(first) if w.ndim == 2]
    assert kernels
    assert all((first[i] != other[i]).any() for i in kernels)


def test_hooks_are_applied():
    model = build.build_model(plan("all"), DIGITS, seed=0)
    names = {type(layer).__name__ for layer in model.layers}
    assert "DRegDense" in names
    assert type(model.optimizer).__name__ == "GradientNoise"
    ghosts = build.build_model(plan("lr_gbn"), DIGITS, seed=0)
    [first, _] = [x for x in ghosts.layers if hasattr(x, "ghost_batch_size")]
    assert first.ghost_batch_size == 16
    assert len(build.build_callbacks(plan("all"), DIGITS, seed=0)) == 1


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("arm", "steps"),
    [("small_batch", 64), ("large_batch", 2), ("lr_gbn_ra", 32)],
)
def test_steps_per_execution_divides_an_epoch(arm, steps):
    assert build.steps_per_execution(plan(arm)) == steps


def test_compiling_ahead_leaves_no_trace_once_the_state_is_back():
    from keras_lbreg.callbacks.multi_worker_backup import (
        set_training_state,
        training_state,
    )

    chosen = plan("lr_noise")
    model = build.build_model(chosen, DIGITS, seed=0)
    before = training_state(model)
    build.compile_ahead(model, chosen, DIGITS, seed=0)
    after = training_state(model)
    assert any((a != b).any() for a, b in zip(before, after, strict=True))
    set_training_state(model, before)
    for a, b in zip(before, training_state(model), strict=True):
        np.testing.assert_array_equal(a, b)
