import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from keras_lbreg.data import Dataset, load_dataset, prepared_datasets
from keras_lbreg.data.npz import save_npz
from keras_lbreg.data.prepared import find_prepared
from keras_lbreg.data.tfds import prepare_dataset

REAL = pathlib.Path(
    os.environ.get("LBREG_DATA_DIR")
    or pathlib.Path(__file__).parents[3] / "shared" / "tfds"
)


def needs(name):
    """Marks a test of a real dataset; it is skipped where it is missing."""
    return [
        pytest.mark.data,
        pytest.mark.tensorflow,
        pytest.mark.skipif(
            find_prepared(name, REAL) is None,
            reason=f"{name} is not prepared in LBREG_DATA_DIR",
        ),
    ]


def make(**changes):
    arrays = {
        "x_train": np.zeros((4, 3), "float32"),
        "y_train": np.array([0, 1, 2, 1]),
        "x_val": np.zeros((2, 3), "float32"),
        "y_val": np.array([0, 2]),
        "classes": 3,
    }
    return Dataset("made_up", **{**arrays, **changes})


def test_digits_are_the_real_ones_in_a_fixed_stratified_split():
    first, second = load_dataset("digits"), load_dataset("digits")
    assert first.x_train.shape == (1024, 8, 8, 1)
    assert first.x_val.shape == (773, 8, 8, 1)
    assert first.x_train.dtype == "uint8"
    assert first.x_train.max() == 16
    np.testing.assert_array_equal(first.x_train, second.x_train)
    for y in (first.y_train, first.y_val):
        share = np.bincount(y) / len(y)
        np.testing.assert_allclose(share, 0.1, atol=0.005)
    together = np.concatenate([first.x_train, first.x_val]).reshape(1797, -1)
    assert len(np.unique(together, axis=0)) == 1797


def test_moments_by_channel():
    x = np.random.default_rng(0).integers(0, 255, (9000, 2, 2, 3), "uint8")
    y = np.arange(9000) % 2
    mean, variance = make(
        x_train=x, y_train=y, x_val=x[:2], y_val=y[:2]
    ).moments()
    np.testing.assert_allclose(mean, x.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(variance, x.var(axis=(0, 1, 2)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"x_train": np.zeros((0, 3)), "y_train": np.zeros(0, int)},
            "at least one sample",
        ),
        ({"y_train": np.zeros(4, int)}, "at least two classes"),
        ({"y_train": np.array([0, 1, 3, 1])}, "labels below 3"),
        ({"y_train": np.array([0, 1, -1, 1])}, "Received: label -1"),
        ({"y_train": np.array([0.0, 1, 2, 1])}, "Received: dtype float64"),
        ({"y_val": np.array(["a", "b"])}, "Received: dtype <U1"),
        ({"x_train": np.float32(3)}, "Received: x_train of shape"),
        ({"x_train": np.zeros(4)}, "an axis of samples"),
        ({"x_train": np.zeros((4, 3), "complex64")}, "dtype complex64"),
        (
            {"x_train": np.full((4, 3), np.nan)},
            "NaN or infinity in 12 of 12 values",
        ),
        ({"x_val": np.full((2, 3), np.inf)}, "finite numbers in x_val"),
        ({"y_train": np.eye(4, dtype=int)}, "one integer label for each"),
        ({"y_val": np.array([0])}, "one integer label for each"),
        ({"x_val": np.zeros((2, 4))}, "samples of one shape"),
    ],
)
def test_useless_datasets_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)


def test_npz_round_trip(tmp_path):
    dataset = make(title="Made up", notes="Nothing.")
    save_npz(dataset, tmp_path / "made_up.npz")
    again = load_dataset(str(tmp_path / "made_up.npz"))
    for name in ("x_train", "y_train", "x_val", "y_val"):
        ours, theirs = getattr(dataset, name), getattr(again, name)
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    assert (again.name, again.title, again.notes, again.classes) == (
        "made_up",
        "Made up",
        "Nothing.",
        3,
    )
    assert [p.name for p in tmp_path.iterdir()] == ["made_up.npz"]


def test_plain_npz_of_grey_images(tmp_path):
    x, y = np.zeros((6, 4, 4), "uint8"), np.arange(6) % 3
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_val=x, y_val=y)
    dataset = load_dataset(str(tmp_path / "a.npz"))
    assert dataset.input_shape == (4, 4, 1)
    assert dataset.classes == 3


def test_npz_that_is_missing_damaged_or_incomplete(tmp_path):
    with pytest.raises(ValueError, match=r"an \.npz file that exists"):
        load_dataset(str(tmp_path / "nowhere.npz"))
    (tmp_path / "text.npz").write_text("no arrays here")
    with pytest.raises(ValueError, match=r"Cannot read .*text\.npz"):
        load_dataset(str(tmp_path / "text.npz"))
    np.savez(tmp_path / "half.npz", x_train=np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"\['y_train', 'x_val', 'y_val'\]"):
        load_dataset(str(tmp_path / "half.npz"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_train": np.array(["a", "b"] * 3)}, "Received: dtype <U1"),
        ({"y_train": np.array([0, None] * 3)}, "Cannot read .*plain arrays"),
        ({"x_train": np.float32(3)}, "an axis of samples"),
        ({"y_train": np.arange(6) * 10**6}, "8 different labels up to 5,000"),
        ({"classes": "many"}, "one integer as `classes`"),
        ({"classes": 2}, "labels below 2"),
    ],
)
def test_npz_of_useless_arrays(tmp_path, changes, message):
    x, y = np.zeros((6, 4, 4), "uint8"), np.arange(6) % 3
    arrays = {"x_train": x, "y_train": y, "x_val": x, "y_val": y}
    np.savez(tmp_path / "a.npz", **{**arrays, **changes})
    with pytest.raises(ValueError, match=message) as caught:
        load_dataset(str(tmp_path / "a.npz"))
    assert str(tmp_path / "a.npz") in str(caught.value)


def test_labels_with_gaps_need_the_number_of_classes(tmp_path):
    x, y = np.zeros((6, 4), "uint8"), np.arange(6) * 100
    path = str(tmp_path / "a.npz")
    np.savez(path, x_train=x, y_train=y, x_val=x, y_val=y, classes=1000)
    assert load_dataset(path).classes == 1000


def test_dataset_that_is_not_prepared_names_the_command(tmp_path):
    with pytest.raises(ValueError, match="`lbreg data prepare cifar10`"):
        load_dataset("cifar10", data_dir=tmp_path)


def test_newest_version_is_found(tmp_path, monkeypatch):
    for version in ("1.9.0", "1.10.0", "incomplete"):
        (tmp_path / "things" / version).mkdir(parents=True)
        (tmp_path / "things" / version / "dataset_info.json").touch()
    assert find_prepared("things", tmp_path).name == "1.10.0"
    assert prepared_datasets(tmp_path) == [("things", "1.10.0", None)]
    assert prepared_datasets(tmp_path / "nowhere") == []
    monkeypatch.setenv("LBREG_DATA_DIR", str(tmp_path))
    assert find_prepared("things").name == "1.10.0"
    assert prepare_dataset("things") == find_prepared("things")
    assert prepare_dataset("digits") is None


def test_prepared_datasets_are_listed_without_keras(tmp_path):
    info = {"splits": [{"shardLengths": ["7", "3"]}, {"shardLengths": ["2"]}]}
    (tmp_path / "things" / "1.0.0").mkdir(parents=True)
    path = tmp_path / "things" / "1.0.0" / "dataset_info.json"
    path.write_text(json.dumps(info))
    # As the command line, which alone imports the package without Keras.
    code = f"""
import sys
sys.modules["_lbreg"] = sys
from keras_lbreg.data import prepared_datasets
print(prepared_datasets({str(tmp_path)!r}), {{"keras", "tensorflow"}}
      & set(sys.modules))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert result.stdout.strip() == "[('things', '1.0.0', 12)] set()"


@pytest.mark.parametrize(
    ("name", "close"),
    [("digts", "digits"), ("ciphar10", "cifar10"), ("thing", "things")],
)
def test_a_name_with_a_slip(tmp_path, name, close):
    (tmp_path / "things" / "1.0.0").mkdir(parents=True)
    (tmp_path / "things" / "1.0.0" / "dataset_info.json").touch()
    with pytest.raises(ValueError, match=f"Did you mean '{close}'"):
        load_dataset(name, tmp_path)


@pytest.mark.parametrize(
    ("name", "shape", "samples", "title"),
    [
        pytest.param(
            "mnist", (28, 28, 1), (60000, 10000), "MNIST", marks=needs("mnist")
        ),
        pytest.param(
            "cifar10",
            (32, 32, 3),
            (50000, 10000),
            "CIFAR-10",
            marks=needs("cifar10"),
        ),
    ],
)
@pytest.mark.slow
def test_real_datasets(name, shape, samples, title):
    dataset = load_dataset(name, data_dir=REAL)
    assert dataset.input_shape == shape
    assert (len(dataset.x_train), len(dataset.x_val)) == samples
    assert dataset.title == title
    assert np.bincount(dataset.y_val).min() > 800
    assert 20 < dataset.x_train[:1000].mean() < 140


@pytest.mark.parametrize(
    ("name", "samples"),
    [
        pytest.param("caltech101", (3060, 6084), marks=needs("caltech101")),
        # The gradient-noise paper's split.
        pytest.param(
            "caltech101_3to1", (6903, 2241), marks=needs("caltech101")
        ),
    ],
)
@pytest.mark.slow
def test_images_of_varying_size(name, samples):
    dataset = load_dataset(name, data_dir=REAL, image_size=(24, 32))
    assert dataset.input_shape == (24, 32, 3)
    assert dataset.classes == 102
    assert (len(dataset.x_train), len(dataset.x_val)) == samples
    for y in (dataset.y_train, dataset.y_val):
        assert len(np.unique(y)) == 102


def test_prepared_dataset_without_tensorflow(tmp_path, monkeypatch):
    (tmp_path / "things" / "1.0.0").mkdir(parents=True)
    (tmp_path / "things" / "1.0.0" / "dataset_info.json").touch()
    monkeypatch.setitem(__import__("sys").modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match="lbreg data export things"):
        load_dataset("things", data_dir=tmp_path)


@pytest.mark.parametrize(
    "size", [0, 64, (64,), (0, 64), (64, -1), (64.0, 64), "64", (True, 8)]
)
def test_image_sizes_that_are_none(size):
    with pytest.raises(ValueError, match="`image_size`") as caught:
        load_dataset("digits", image_size=size)
    assert f"image_size={size!r}" in str(caught.value)


def test_split_of_a_dataset_that_is_not_prepared(tmp_path):
    with pytest.raises(ValueError, match="lbreg data prepare caltech101`"):
        load_dataset("caltech101_3to1", data_dir=tmp_path)
