"""Datasets that TensorFlow Datasets has prepared, with made-up images."""

import itertools
import shutil
import subprocess
import sys

import numpy as np
import pytest

from keras_lbreg.data import load_dataset
from tests.data.tiny_tensorflow_dataset import write_dataset

pytestmark = pytest.mark.tensorflow

SIZES = [(40, 60), (55, 40), (40, 40)]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A data folder, and what is in its datasets by name and split."""
    folder = tmp_path_factory.mktemp("tfds")
    return folder, {
        "cifar100": write_dataset(
            folder, "cifar100", {"train": 230, "test": 110}, 100, (32, 32, 3)
        ),
        "imagenet2012": write_dataset(
            folder,
            "imagenet2012",
            {"train": 90, "validation": 30, "test": 20},
            1000,
            (None, None, 3),
            "jpeg",
            SIZES,
        ),
        "caltech101": write_dataset(
            folder,
            "caltech101",
            {"train": 30, "test": 47},
            5,
            (None, None, 3),
            "png",
            [*SIZES, (33, 70)],
        ),
    }


def pillow_resize(image, size):
    """Pillow's bilinear, antialiased `Image.resize`."""
    image_class = pytest.importorskip("PIL.Image")
    height, width = size
    return np.asarray(
        image_class.fromarray(image).resize(
            (width, height), image_class.Resampling.BILINEAR
        )
    )


def test_cifar100(prepared):
    folder, samples = prepared
    dataset = load_dataset("cifar100", folder, image_size=(64, 64))
    for part, split in (("train", "train"), ("val", "test")):
        images, labels = zip(*samples["cifar100"][split], strict=True)
        # All of one size: not resized, and in the order they are stored in.
        np.testing.assert_array_equal(getattr(dataset, f"x_{part}"), images)
        np.testing.assert_array_equal(getattr(dataset, f"y_{part}"), labels)
    assert (dataset.classes, dataset.title) == (100, "CIFAR-100")
    assert dataset.x_train.dtype == "uint8"


@pytest.mark.parametrize("size", [(24, 24), (40, 40), (64, 48)])
def test_images_are_squashed_as_pillow_does_it(prepared, size):
    folder, samples = prepared
    dataset = load_dataset("caltech101", folder, image_size=size)
    images, labels = zip(*samples["caltech101"]["train"], strict=True)
    expected = np.stack([pillow_resize(image, size) for image in images])
    np.testing.assert_array_equal(dataset.y_train, labels)
    # Pillow rounds after each of the two axes.
    difference = np.abs(dataset.x_train.astype(int) - expected)
    assert difference.max() <= 1
    assert difference.mean() < 0.2


def test_caltech_split_anew(prepared):
    folder, samples = prepared
    first, second = (
        load_dataset("caltech101_3to1", folder, image_size=(40, 40))
        for _ in range(2)
    )
    pooled = itertools.chain.from_iterable(samples["caltech101"].values())
    labels = [label for _, label in pooled]
    counts = -(-3 * np.bincount(labels) // 4)
    np.testing.assert_array_equal(np.bincount(first.y_train), counts)
    assert len(first.y_train) + len(first.y_val) == len(labels) == 77
    # Every image is another one: none is lost, none is in both parts.
    together = np.concatenate([first.x_train, first.x_val]).reshape(77, -1)
    assert len(np.unique(together, axis=0)) == 77
    np.testing.assert_array_equal(first.x_train, second.x_train)
    np.testing.assert_array_equal(first.y_val, second.y_val)
    assert first.name == "caltech101_3to1"
    assert first.title == "Caltech-101, resized to 40x40"
    assert f"{counts.sum()} training and" in first.notes


def test_imagenet(prepared):
    folder, samples = prepared
    dataset = load_dataset("imagenet2012", folder, image_size=(32, 32))
    assert dataset.x_train.shape == (90, 32, 32, 3)
    assert dataset.classes == 1000
    # The test split has no labels: the validation split is the right one.
    labels = [label for _, label in samples["imagenet2012"]["validation"]]
    np.testing.assert_array_equal(dataset.y_val, labels)
    # All have the shorter side 40.
    title = "ImageNet (ILSVRC 2012) at 40 px, resized to 32x32"
    assert dataset.title == title


@pytest.mark.parametrize(
    ("fmt", "title"), [("png", "CIFAR-10"), ("jpeg", "CIFAR-10 (JPEG)")]
)
def test_lossy_images_are_called_so(tmp_path, fmt, title):
    splits = {"train": 6, "test": 6}
    write_dataset(tmp_path, "cifar10", splits, 3, (32, 32, 3), fmt)
    assert load_dataset("cifar10", tmp_path).title == title


def test_images_that_do_not_fit_into_memory_are_refused(prepared):
    with pytest.raises(ValueError, match=r"`memory_limit`.*`tf\.data`"):
        load_dataset("imagenet2012", prepared[0], (32, 32), memory_limit=10_000)


def test_images_of_varying_size_need_a_size(prepared):
    with pytest.raises(ValueError, match="differ in size"):
        load_dataset("caltech101", prepared[0])


LOAD = """
import sys
from keras_lbreg.data import load_dataset
dataset = load_dataset("caltech101", sys.argv[1], (32, 32))
print("loaded", len(dataset.x_train), len(dataset.x_val))
"""


def test_network_is_not_touched(prepared):
    alone = ["unshare", "--map-root-user", "--net"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*alone, "true"], capture_output=True).returncode
    ):
        pytest.skip("no network namespaces here")
    result = subprocess.run(
        [*alone, sys.executable, "-c", LOAD, str(prepared[0])],
        capture_output=True,
        text=True,
    )
    assert "loaded 30 47" in result.stdout, result.stderr


@pytest.mark.parametrize(
    ("pattern", "content"),
    [
        ("*-train.tfrecord-00000*", b"cut off"),
        ("dataset_info.json", b"{"),
        ("features.json", b"{]"),
    ],
)
def test_damaged_prepared_dataset(prepared, tmp_path, pattern, content):
    shutil.copytree(prepared[0] / "cifar100", tmp_path / "cifar100")
    [file] = (tmp_path / "cifar100").glob(f"*/{pattern}")
    file.write_bytes(content)
    with pytest.raises(ValueError, match="prepare it again"):
        load_dataset("cifar100", tmp_path)


@pytest.mark.parametrize("missing", ["train", "validation"])
def test_missing_split(tmp_path, missing):
    splits = {"train": 4, "validation": 4, "other": 4}
    del splits[missing]
    write_dataset(tmp_path, "halves", splits, 2, (4, 4, 3))
    with pytest.raises(ValueError, match="Expected a `train` split"):
        load_dataset("halves", tmp_path)
