"""`lbreg data` on prepared datasets of made-up images."""

import numpy as np
import pytest

from keras_lbreg.data import load_dataset
from tests.data.tiny_tensorflow_dataset import write_dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("tensorflow_datasets")
    folder = tmp_path_factory.mktemp("tfds")
    write_dataset(
        folder,
        "caltech101",
        {"train": 30, "test": 47},
        5,
        (None, None, 3),
        "jpeg",
        [(40, 60), (50, 40)],
    )
    write_dataset(
        folder, "cifar100", {"train": 200, "test": 100}, 100, (32, 32, 3)
    )
    return folder


@pytest.mark.tensorflow
def test_list(lbreg, folder, tmp_path):
    text = lbreg("data", "list", "--data-dir", folder).text
    assert "digits yes " in text
    assert "caltech101_3to1 yes, " in text
    assert "cifar100 yes, 1.2.3 photographs in 100 classes, 32x32 300" in text
    assert "imagenet2012 no: lbreg data prepare imagenet2012" in text
    text = lbreg("data", "list", "--data-dir", tmp_path).text
    assert "caltech101_3to1 no: lbreg data prepare caltech101 " in text


@pytest.mark.tensorflow
def test_export(lbreg, folder):
    words = ["caltech101_3to1", "a.npz", "--image-size", "24x32"]
    result = lbreg("data", "export", *words, "--data-dir", folder)
    assert result.exit_code == 0, result.text
    assert "MiB" in result.text
    assert "24x32x3" in result.text
    exported = load_dataset("a.npz")
    dataset = load_dataset("caltech101_3to1", folder, (24, 32))
    for name in ("x_train", "y_train", "x_val", "y_val"):
        np.testing.assert_array_equal(
            getattr(exported, name), getattr(dataset, name)
        )
    assert (exported.name, exported.title) == (dataset.name, dataset.title)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["cifar100", "digits"])
def test_images_of_one_size_are_not_resized(lbreg, folder, tmp_path, name):
    words = [name, "a.npz", "--image-size", 16, "--data-dir", folder]
    result = lbreg("data", "export", *words)
    assert result.exit_code == 2
    assert "all have one size" in result.text
    assert not (tmp_path / "a.npz").exists()


def test_what_is_not_prepared(lbreg, tmp_path):
    words = ["caltech101_3to1", "a.npz", "--data-dir", tmp_path]
    result = lbreg("data", "export", *words)
    assert result.exit_code == 2
    assert "`lbreg data prepare caltech101`" in result.text
