import keras
import numpy as np
import pytest

from keras_lbreg import workloads
from keras_lbreg.data import Dataset
from keras_lbreg.data.npz import save_npz
from keras_lbreg.techniques import Context, get
from keras_lbreg.workloads import networks

CIFAR = (32, 32, 3)
IDENTITY = [0.0], [1.0]


def dataset(shape, name="made_up", classes=3, samples=96, **fields):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 255, (samples, *shape)).astype("uint8")
    y = (np.arange(samples) % classes).astype("int32")
    return Dataset(name, x, y, x[:40], y[:40], classes, **fields)


@pytest.mark.parametrize(
    ("network", "shape", "classes", "parameters"),
    [
        # Published.
        ("f1", (28, 28, 1), 10, 1_462_794),
        ("c1", CIFAR, 10, 1_388_490),
        ("c1", CIFAR, 100, 1_405_860),
    ],
)
def test_the_papers_networks_have_the_papers_sizes(
    network, shape, classes, parameters
):
    arguments = shape, "uint8", classes, IDENTITY
    if network == "f1":
        model = networks.fully_connected(*arguments, (512,) * 5)
    else:
        model = networks.c1(*arguments)
    sizes = [v.shape for v in model.trainable_variables]
    assert sum(np.prod(size) for size in sizes) == parameters
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            assert (layer.momentum, layer.epsilon) == (0.9, 1e-5)


BUILT_IN = {
    # shape, small batch, large batch, rates by epoch, clip, momentum
    "digits": ((8, 8, 1), 16, 512, {0: 0.02, 10: 2e-3, 15: 2e-4}, None, 0.9),
    "mnist": (
        (28, 28, 1),
        128,
        4096,
        {0: 0.1, 2: 0.01, 4: 1e-3, 6: 1e-4},
        5.0,
        0.9,
    ),
    "cifar10": (
        CIFAR,
        128,
        4096,
        {0: 1e-3, 6: 0.01, 12: 1e-3, 18: 1e-4},
        5.0,
        0.0,
    ),
    "caltech101": (
        (64, 64, 3),
        32,
        512,
        {0: 0.01, 10: 1e-3, 15: 1e-4},
        None,
        0.9,
    ),
}


@pytest.mark.parametrize("name", list(BUILT_IN))
def test_built_in_workloads_are_compiled_models_with_their_regime(name):
    shape, small, large, rates, clip, momentum = BUILT_IN[name]
    workload = getattr(workloads, name)(data=dataset(shape, name))
    regime = workload.regime
    assert (regime.base_batch_size, workload.batch_size) == (small, large)
    for epoch, rate in rates.items():
        np.testing.assert_allclose(regime.learning_rate_at(epoch), rate)
    assert len(regime.milestones) == len(rates) - 1
    model = workload.build_model()
    assert model.compiled
    assert model.optimizer.global_clipnorm == clip
    assert model.optimizer.momentum == momentum
    x, y = workload.train_data
    logs = model.evaluate(x[:8], y[:8], verbose=0, return_dict=True)
    assert set(logs) == {"loss", "accuracy"}
    assert workload.name == name
    # Settings of techniques fit the network.
    context = Context(0, small, large)
    for technique, overrides in workload.techniques.items():
        technique = get(technique)
        settings = technique.hyperparameters(overrides)
        technique.model(model, settings, context)


def test_digits_are_there():
    workload = workloads.digits()
    assert workload.train_data[0].shape == (1024, 8, 8, 1)
    assert workload.title == "Digits (8x8)"
    assert "scikit-learn" in workload.notes


def test_a_file_has_the_workload_of_the_dataset_in_it(tmp_path):
    save_npz(dataset((8, 8, 1), "digits", title="Some"), tmp_path / "a.npz")
    workload = workloads.npz(tmp_path / "a.npz")
    assert (workload.name, workload.title) == ("digits", "Some")
    assert workload.regime.base_batch_size == 16


@pytest.mark.parametrize(
    ("shape", "layer"), [((9, 7, 3), "conv_3"), ((5,), "dense_2")]
)
def test_any_other_file_has_a_small_network(tmp_path, shape, layer):
    data = dataset(shape)
    arrays = {
        name: getattr(data, name)
        for name in ("x_train", "y_train", "x_val", "y_val")
    }
    np.savez(tmp_path / "my data.npz", **arrays)
    workload = workloads.npz(tmp_path / "my data.npz")
    assert workload.name == "my_data"
    assert workload.batch_size == 64
    model = workload.build_model()
    assert model.output_shape == (None, 3)
    dreg = get("dreg")
    doubled = dreg.model(model, dreg.hyperparameters(), Context(0, 32, 64))
    assert hasattr(doubled.get_layer(layer), "kernel_left")


@pytest.mark.tensorflow
def test_an_image_set_of_tensorflow_datasets(tmp_path):
    from tests.data.tiny_tensorflow_dataset import write_dataset

    splits = {"train": 40, "test": 8}
    write_dataset(tmp_path, "things", splits, 3, (8, 8, 3))
    workload = workloads.get_workload("things", data_dir=tmp_path)
    assert workload.name == workload.source == "things"
    assert workload.train_data[0].shape == (40, 8, 8, 3)
    assert workload.build_model().output_shape == (None, 3)
