"""Arrays that were written to disk come back, also after an interruption."""

import shutil
from collections import namedtuple

import numpy as np
import pytest

from keras_lbreg.data.sources.array_file import ArrayFile
from keras_lbreg.data.sources.image_cache import (
    cache_folder,
    open_cache,
    write_cache,
)

pytest.importorskip("tqdm")

IMAGES = np.random.default_rng(0).integers(0, 255, (50, 4, 3, 3), "uint8")
LABELS = np.arange(50, dtype="int32") % 7
SIDES = np.arange(50, dtype="int32")


def part(stop=50, broken_at=None, asked=None):
    """A part of `write_cache`, read three samples at a time."""

    def read(start):
        if asked is not None:
            asked.append(start)
        for i in range(start, stop, 3):
            if broken_at is not None and i >= broken_at:
                raise KeyboardInterrupt
            end = min(i + 3, stop)
            yield IMAGES[i:end], LABELS[i:end], SIDES[i:end]

    return {"shape": IMAGES[:stop].shape, "dtype": "uint8", "read": read}


def check(folder):
    arrays, about = open_cache(folder)
    assert about == {"classes": 7, "full_name": "a/1.0.0", "jpeg": False}
    assert list(arrays) == ["train", "val"]
    for key, count in (("train", 50), ("val", 10)):
        images, labels, sides = arrays[key]
        assert isinstance(images, np.memmap)
        assert not images.flags.writeable
        np.testing.assert_array_equal(images, IMAGES[:count])
        np.testing.assert_array_equal(labels, LABELS[:count])
        np.testing.assert_array_equal(sides, SIDES[:count])


def write(folder, train, val=None):
    parts = {"train": train, "val": val or part(10)}
    about = {"classes": 7, "full_name": "a/1.0.0", "jpeg": False}
    write_cache(folder, parts, about)


def test_round_trip_and_no_second_reading(tmp_path, capfd):
    folder = tmp_path / "new" / "cache"
    assert open_cache(folder) is None
    write(folder, part())
    check(folder)
    assert str(folder) in capfd.readouterr().err
    asked = []
    write(folder, part(asked=asked))
    assert asked == []


def test_interrupted_write_is_not_seen_and_gone_on_with(tmp_path):
    folder = tmp_path / "cache"
    for broken_at, start in ((20, 0), (40, 21)):
        asked = []
        with pytest.raises(KeyboardInterrupt):
            write(folder, part(broken_at=broken_at, asked=asked))
        assert asked == [start]
        assert open_cache(folder) is None
    # Killed in the middle of a row, and before its label.
    images = tmp_path / "cache.partial" / "train_images.npy"
    with open(images, "ab") as file:
        file.write(b"half a row")
    write(folder, part())
    check(folder)
    assert not images.parent.exists()


def test_files_of_another_shape_are_begun_anew(tmp_path):
    with ArrayFile(tmp_path / "a.npy", (5, 2), "uint8") as file:
        file.append(np.ones((3, 2)))
        assert file.rows == 3
    with ArrayFile(tmp_path / "a.npy", (5, 3), "uint8") as file:
        assert file.rows == 0
        file.append(np.arange(15).reshape(5, 3))
    np.testing.assert_array_equal(
        np.load(tmp_path / "a.npy"), np.arange(15).reshape(5, 3)
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("about.npz", b""),
        ("about.npz", b"PK\x03\x04 and no archive"),
        ("about.npz", None),
        ("train_images.npy", None),
        ("train_images.npy", b"\x93NUMPY"),
        ("val_labels.npy", b""),
    ],
)
def test_damaged_files(tmp_path, name, content):
    write(tmp_path / "cache", part())
    file = tmp_path / "cache" / name
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(ValueError, match="Delete the folder") as caught:
        open_cache(tmp_path / "cache")
    assert str(tmp_path / "cache") in str(caught.value)


def test_images_cut_off(tmp_path):
    write(tmp_path / "cache", part())
    file = tmp_path / "cache" / "train_images.npy"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match="Delete the folder"):
        open_cache(tmp_path / "cache")


def test_labels_of_another_dataset(tmp_path):
    write(tmp_path / "cache", part())
    np.save(tmp_path / "cache" / "val_labels.npy", LABELS)
    with pytest.raises(ValueError, match="differ in length"):
        open_cache(tmp_path / "cache")


def test_disk_that_is_full(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(9, 9, 0))
    with pytest.raises(ValueError, match="LBREG_CACHE_DIR"):
        write(tmp_path / "cache", part())


def test_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    # Root may write anywhere: file modes would not do.
    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(ValueError, match="LBREG_CACHE_DIR"):
        write(tmp_path / "cache", part())


def test_place_of_the_folder(tmp_path, monkeypatch):
    version = tmp_path / "imagenet2012" / "5.1.0"
    folder = cache_folder("imagenet2012", version, (256, 224))
    assert folder.parent == version.parent
    assert folder.name == "lbreg-imagenet2012-5.1.0-256x224"
    monkeypatch.setenv("LBREG_CACHE_DIR", str(tmp_path / "elsewhere"))
    moved = cache_folder("a/b:c", version, None)
    assert moved == tmp_path / "elsewhere" / "lbreg-a_b_c-5.1.0-as_stored"
