"""The gradient-noise paper's split of the real images."""

import numpy as np
import pytest

from keras_lbreg.data import load_dataset
from tests.data.test_datasets import REAL, needs


@pytest.mark.parametrize(
    "name", [pytest.param("caltech101_3to1", marks=needs("caltech101"))]
)
def test_three_to_one(name):
    first = load_dataset(name, REAL, (24, 24))
    assert (len(first.x_train), len(first.x_val)) == (6903, 2241)
    assert first.classes == 102
    for y in (first.y_train, first.y_val):
        assert len(np.unique(y)) == 102
    # The same images as in the split of TensorFlow Datasets. Some of them are
    # there twice from the start, in one class or in two.
    other = load_dataset("caltech101", REAL, (24, 24))
    ours, theirs = (
        sorted(
            image.tobytes() + bytes([label])
            for x, y in ((d.x_train, d.y_train), (d.x_val, d.y_val))
            for image, label in zip(x, y, strict=True)
        )
        for d in (first, other)
    )
    assert ours == theirs
    assert "6,903 training and 2,241 validation images" in first.notes
