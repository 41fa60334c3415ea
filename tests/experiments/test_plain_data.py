import io

import numpy as np
import pytest

from keras_lbreg.experiments.plain_data import from_arrays, to_arrays


def travel(arrays):
    """As they go over the network: nothing in them is ever run."""
    file = io.BytesIO()
    np.savez(file, *arrays, allow_pickle=False)
    file.seek(0)
    with np.load(file, allow_pickle=False) as content:
        return [content[f"arr_{i}"] for i in range(len(content.files))]


def test_plain_data_comes_back():
    state = [np.arange(6, dtype="float32").reshape(2, 3), np.array(7)]
    value = {"name": "é", "none": None, "nan": float("inf"), "list": [1, True]}
    back = from_arrays(travel(to_arrays({**value, "state": state, "to": {}})))
    assert back.pop("to") == {}
    for ours, expected in zip(back.pop("state"), state, strict=True):
        assert ours.dtype == expected.dtype
        np.testing.assert_array_equal(ours, expected)
    assert back == value


@pytest.mark.parametrize("value", [object(), {1, 2}, np.array([object()])])
def test_nothing_but_plain_data(value):
    with pytest.raises(TypeError, match="Expected plain data"):
        to_arrays({"a": [value]})
