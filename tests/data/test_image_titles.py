import numpy as np
import pytest

from keras_lbreg.data.sources.image_titles import image_title, stored_size


@pytest.mark.parametrize(
    ("sides", "size"),
    [
        ([104, 104, 104], 104),
        # Two were smaller and not blown up.
        ([104, 104, 80, 104, 103], 104),
        # One was not shrunk.
        ([104, 104, 104, 200], None),
        ([200, 233, 180, 150], None),
    ],
)
def test_size_that_all_images_had_been_shrunk_to(sides, size):
    assert stored_size(np.array(sides)) == size


SHRUNK, VARYING = np.full(9, 104), np.arange(100, 300)


@pytest.mark.parametrize(
    ("arguments", "title"),
    [
        (("caltech101", (104, 104), SHRUNK), "Caltech-101 at 104 px"),
        (
            ("caltech101", (64, 64), SHRUNK),
            "Caltech-101 at 104 px, resized to 64x64",
        ),
        (
            ("caltech101", (256, 224), VARYING),
            "Caltech-101, resized to 256x224",
        ),
        (("cifar100",), "CIFAR-100"),
        (("cifar10", None, SHRUNK, True), "CIFAR-10 (JPEG)"),
        (("unheard_of",), "unheard_of"),
    ],
)
def test_titles(arguments, title):
    assert image_title(*arguments) == title
