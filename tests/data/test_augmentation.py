"""Random crops and flips against images cut out one by one."""

import numpy as np
import pytest

from keras_lbreg.data.augmentation import Augmentation


def images(count, height=6, width=5, channels=3):
    generator = np.random.default_rng(0)
    shape = (count, height, width, channels)
    return generator.integers(1, 255, shape).astype("uint8")


def all_views(image, augment):
    """Every image that the augmentation may give, by its bytes."""
    rows, columns, _ = augment.output_shape(image.shape)
    padded = np.pad(image, ((augment.pad,) * 2, (augment.pad,) * 2, (0, 0)))
    views = []
    for top in range(padded.shape[0] - rows + 1):
        for left in range(padded.shape[1] - columns + 1):
            view = padded[top : top + rows, left : left + columns]
            views.append(view)
            if augment.flip:
                views.append(view[:, ::-1])
    return [view.tobytes() for view in views]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "augment",
    [
        Augmentation(pad=1),
        Augmentation(pad=1, flip=True),
        Augmentation(crop=(4, 3), flip=True),
        Augmentation(pad=1, crop=(5, 4)),
    ],
    ids=lambda augment: augment.describe(),
)
def test_every_view_comes_equally_often(augment, channels):
    image = images(1, channels=channels)
    batch = np.repeat(image, 20_000, axis=0)
    result = augment(batch, np.random.default_rng(1))
    assert result.dtype == batch.dtype
    assert result.shape[1:] == augment.output_shape(image.shape[1:])
    views = all_views(image[0], augment)
    counts = dict.fromkeys(views, 0)
    assert len(counts) == len(views)
    for one in result:
        counts[one.tobytes()] += 1
    expected = len(result) / len(views)
    # Six standard deviations of a binomial count.
    for count in counts.values():
        assert abs(count - expected) < 6 * expected**0.5


def test_each_image_gets_its_own_view():
    batch = images(64)
    augment = Augmentation(pad=2, flip=True)
    result = augment(batch, np.random.default_rng(2))
    for before, after in zip(batch, result, strict=True):
        assert after.tobytes() in all_views(before, augment)


def test_same_generator_same_images():
    batch, augment = images(8), Augmentation(pad=1, flip=True)
    first = augment(batch, np.random.default_rng([3, 5]))
    np.testing.assert_array_equal(
        first, augment(batch, np.random.default_rng([3, 5]))
    )
    other = augment(batch, np.random.default_rng([3, 6]))
    assert (first != other).any()


def test_leaves_its_input_alone():
    batch = images(8)
    before = batch.copy()
    Augmentation(flip=True)(batch, np.random.default_rng(0))
    np.testing.assert_array_equal(batch, before)


def test_validation_gets_the_middle():
    batch = images(2, 6, 5)
    middle = Augmentation(crop=(4, 3), flip=True).of_validation(batch)
    np.testing.assert_array_equal(middle, batch[:, 1:5, 1:4])
    whole = Augmentation(pad=4, flip=True).of_validation(batch)
    np.testing.assert_array_equal(whole, batch)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pad": -1}, "Invalid value for argument `pad`"),
        ({"crop": (0, 3)}, "Invalid value for argument `crop`"),
        ({"crop": (3,)}, "Expected a height and a width"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(**options)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((6, 5, 3), "at most the size of the images"),
        ((30,), "Augmentation is for images"),
    ],
)
def test_does_not_fit(shape, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(crop=(7, 3)).output_shape(shape)
