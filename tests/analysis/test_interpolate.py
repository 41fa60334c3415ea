import keras
import numpy as np
import pytest

from keras_lbreg.analysis import interpolate
from tests.analysis.quadratic import linear_model, regression, small_network


def test_a_quadratic_is_a_parabola():
    x, y = regression()
    first, second = np.zeros(6), np.ones(6)
    positions = [-1, 0, 0.25, 1, 2]
    done = []
    line = interpolate(
        linear_model(first),
        linear_model(second),
        (x, y),
        positions,
        on_progress=done.append,
    )
    expected = [np.mean((x @ (a * second) - y[:, 0]) ** 2) for a in positions]
    np.testing.assert_allclose(line.loss["data"], expected, rtol=1e-4)
    assert done == [1, 2, 3, 4, 5]


@pytest.fixture(scope="module")
def trained():
    models = []
    for seed in (0, 1):
        model, x, y = small_network(seed)
        model.fit(x, y, epochs=3, batch_size=25, verbose=0)
        models.append(model)
    return models, x, y


def test_the_ends_are_the_models(trained):
    models, x, y = trained
    before = [model.get_weights() for model in models]
    line = interpolate(
        *models, {"train": (x, y), "few": (x[:9], y[:9])}, [0, 1]
    )
    for index, model in enumerate(models):
        for name, count in (("train", 50), ("few", 9)):
            loss, accuracy = model.evaluate(x[:count], y[:count], verbose=0)
            assert line.loss[name][index] == pytest.approx(loss, rel=1e-5)
            assert line.accuracy[name][index] == pytest.approx(accuracy)
    for model, weights in zip(models, before, strict=True):
        for old, new in zip(weights, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)


def test_estimated_statistics_are_those_of_the_data(trained):
    (first, second), x, y = trained
    line = interpolate(
        first,
        second,
        (x, y),
        [0.0],
        statistics="estimate",
        statistics_data=x,
    )
    hidden, norm, logits = first.layers
    # One batch: its own statistics.
    normalized = norm(hidden(x), training=True)
    scores = keras.ops.convert_to_numpy(logits(normalized))
    chosen = np.take_along_axis(scores, y[:, None], 1)[:, 0]
    expected = np.mean(np.log(np.exp(scores).sum(1)) - chosen)
    assert line.loss["data"][0] == pytest.approx(expected, rel=1e-4)
    moved = interpolate(first, second, (x, y), [0.0]).loss["data"][0]
    assert moved != pytest.approx(expected, rel=1e-3)


def test_mistakes(trained):
    (first, _), x, y = trained
    with pytest.raises(ValueError, match=r"`second`.*same architecture"):
        interpolate(first, linear_model(np.ones(3)), (x, y))
    with pytest.raises(ValueError, match="`statistics`"):
        interpolate(first, first, (x, y), statistics="none")
    with pytest.raises(ValueError, match="`statistics_data`"):
        interpolate(first, first, (x, y), statistics="estimate")
