import numpy as np
import pytest

from keras_lbreg.data.dataset import Dataset
from keras_lbreg.data.dataset_checksum import dataset_checksum
from keras_lbreg.data.hold_out import hold_out
from keras_lbreg.data.rows import Rows, choose_rows, on_disk, spread_rows

VALUES = np.random.default_rng(0).integers(0, 255, (60, 2, 3), "uint8")


@pytest.fixture
def memmap(tmp_path):
    np.save(tmp_path / "values.npy", VALUES)
    return np.load(tmp_path / "values.npy", mmap_mode="r")


@pytest.mark.parametrize(
    "key",
    [
        3,
        slice(2, 9),
        slice(None, None, -2),
        np.array([5, 0, 5]),
        np.arange(20) % 2 == 0,
    ],
    ids=str,
)
def test_rows_are_read_like_a_copy_of_them(memmap, key):
    numbers = np.random.default_rng(1).permutation(60)[:20]
    rows = Rows(memmap, numbers)
    copy = VALUES[numbers]
    np.testing.assert_array_equal(rows[key], copy[key])
    assert (len(rows), rows.shape, rows.ndim, rows.dtype) == (
        len(copy),
        copy.shape,
        copy.ndim,
        copy.dtype,
    )


def test_only_arrays_on_disk_stay_there(memmap):
    chosen = np.arange(60) % 3 == 0
    for array in (VALUES, memmap, Rows(memmap, np.arange(60))):
        rows = choose_rows(array, chosen)
        np.testing.assert_array_equal(rows[:], VALUES[chosen])
        assert on_disk(rows) == (array is not VALUES)
        assert not on_disk(array[np.arange(3)])


@pytest.mark.parametrize("count", [1, 7, 59, 60, 100])
def test_spread_rows(memmap, count):
    rows = spread_rows(memmap, count)
    assert len(rows) == min(count, 60)
    numbers = [i * 60 // len(rows) for i in range(len(rows))]
    np.testing.assert_array_equal(rows[:], VALUES[numbers])


def on_disk_dataset(x):
    y = np.arange(60) % 4
    return Dataset("made_up", x, y, x[:8], y[:8], classes=4)


def test_held_out_data_of_a_dataset_on_disk(memmap):
    ours = hold_out(on_disk_dataset(memmap), 0.25)
    copy = hold_out(on_disk_dataset(VALUES), 0.25)
    assert on_disk(ours.x_train)
    np.testing.assert_array_equal(ours.x_train[:], copy.x_train)
    np.testing.assert_array_equal(ours.x_val, copy.x_val)
    assert type(ours.x_val) is np.ndarray
    assert ours.moments() == copy.moments()


def test_moments_and_checksum_of_a_sample(memmap, monkeypatch):
    """What is on disk is sampled, what is in memory is not."""
    whole = on_disk_dataset(memmap)
    in_memory = on_disk_dataset(VALUES)
    assert dataset_checksum(whole) == dataset_checksum(in_memory)
    assert whole.moments() == on_disk_dataset(VALUES).moments()
    monkeypatch.setattr("keras_lbreg.data.channel_moments.SAMPLES", 20)
    monkeypatch.setattr("keras_lbreg.data.dataset_checksum.SAMPLES", 20)
    mean, variance = whole.moments()
    np.testing.assert_allclose(mean, VALUES[::3].mean(axis=(0, 1)))
    np.testing.assert_allclose(variance, VALUES[::3].var(axis=(0, 1)))
    np.testing.assert_allclose(
        on_disk_dataset(VALUES).moments()[0], VALUES.mean(axis=(0, 1))
    )
    other = VALUES.copy()
    other[30] += 1
    changed = dataset_checksum(on_disk_dataset(other))
    assert changed != dataset_checksum(whole)
