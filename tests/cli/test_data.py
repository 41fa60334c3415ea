"""`lbreg data` on prepared datasets of made-up images."""

import numpy as np
import pytest
from typer.testing import CliRunner

from keras_lbreg.cli.app import app
from keras_lbreg.cli.image_size import parse_image_size
from keras_lbreg.data import load_dataset
from keras_lbreg.experiments.recipes import recipe_for
from tests.data.tiny_tensorflow_dataset import write_dataset


@pytest.fixture
def lbreg(tmp_path, monkeypatch):
    """Runs `lbreg data` in an empty folder and returns what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "500")

    def run(*words, code=0):
        words = ["data", *map(str, words)]
        result = CliRunner().invoke(app, words)
        text = " ".join(result.output.replace("│", " ").split())
        assert result.exit_code == code, text
        assert "Traceback" not in text
        return text

    return run


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


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("96", (96, 96)),
        ("96,128", (96, 128)),
        ("96x128", (96, 128)),
        (" 96, 128 ", (96, 128)),
        (None, None),
    ],
)
def test_image_size(text, size):
    assert parse_image_size(text) == size


@pytest.mark.parametrize("text", ["", "-3", "9.5", "a", "1,2,3", "8,"])
def test_image_size_that_is_none(lbreg, text):
    words = ["export", "digits", "a.npz", f"--image-size={text}"]
    message = lbreg(*words, code=2)
    assert "a height and a width in pixels" in message
    assert f"--image-size {text}".strip() in message


@pytest.mark.tensorflow
def test_list(lbreg, folder, tmp_path):
    text = lbreg("list", "--data-dir", folder)
    assert "caltech101_3to1 yes its own" in text
    assert "cifar100 yes" in text
    assert "imagenet2012 no: lbreg data prepare imagenet2012" in text
    text = lbreg("list", "--data-dir", tmp_path)
    assert "caltech101_3to1 no: lbreg data prepare caltech101 " in text


@pytest.mark.tensorflow
def test_export_keeps_images_and_name(lbreg, folder):
    words = ["caltech101_3to1", "a.npz", "--image-size", "24,32"]
    text = lbreg("export", *words, "--data-dir", folder)
    assert "MiB" in text
    assert "24x32x3" in text
    exported = load_dataset("a.npz")
    dataset = load_dataset("caltech101_3to1", folder, (24, 32))
    for name in ("x_train", "y_train", "x_val", "y_val"):
        np.testing.assert_array_equal(
            getattr(exported, name), getattr(dataset, name)
        )
    assert (exported.name, exported.title) == (dataset.name, dataset.title)
    assert recipe_for(exported.name) is recipe_for("caltech101_3to1")


@pytest.mark.tensorflow
def test_export_without_a_size_takes_the_recipe_s(lbreg, folder):
    lbreg("export", "caltech101", "a.npz", "--data-dir", folder)
    size = recipe_for("caltech101").image_size
    assert load_dataset("a.npz").input_shape == (*size, 3)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["cifar100", "digits"])
def test_images_of_one_size_are_not_resized(lbreg, folder, tmp_path, name):
    words = ["export", name, "a.npz", "--image-size", 16]
    message = lbreg(*words, "--data-dir", folder, code=2)
    assert "all have one size" in message
    assert not (tmp_path / "a.npz").exists()


@pytest.mark.tensorflow
def test_size_of_nothing(lbreg, folder):
    words = ["export", "caltech101", "a.npz", "--image-size", "0"]
    message = lbreg(*words, "--data-dir", folder, code=2)
    assert "image_size=(0, 0)" in message


@pytest.mark.tensorflow
def test_export_of_what_is_too_large(lbreg, folder):
    words = ["export", "caltech101", "a.npz", "--image-size", 10**5]
    message = lbreg(*words, "--data-dir", folder, code=2)
    assert "too large for memory" in message
    assert "GB" in message


def test_dataset_that_is_not_prepared(lbreg, tmp_path):
    words = ["export", "caltech101_3to1", "a.npz", "--data-dir", tmp_path]
    message = lbreg(*words, code=2)
    assert "`lbreg data prepare caltech101`" in message
    assert str(tmp_path) in message
