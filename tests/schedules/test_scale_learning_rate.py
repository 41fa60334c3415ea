"""The two rules of learning-rate scaling."""

import math

import numpy as np
import pytest

import keras_lbreg


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        # Hoffer et al.: 0.1 at 128 is 0.1 * sqrt(32) at 4096.
        ((0.1, 128, 4096, "sqrt"), 0.1 * 32**0.5),
        # Goyal et al.: 0.1 at 256 is 3.2 at 8192.
        ((0.1, 256, 8192, "linear"), 3.2),
        # Jaiswal and Taura: .01 at 32, .02 at 64, .04 at 128.
        ((0.01, 32, 128, "linear"), 0.04),
        ((0.1, 256, 64, "sqrt"), 0.05),
        ((0.1, 256, 256, "linear"), 0.1),
        ((np.float32(0.5), np.int64(4), np.int64(16), "sqrt"), 1.0),
    ],
)
def test_rules(arguments, expected):
    result = keras_lbreg.scale_learning_rate(*arguments)
    assert type(result) is float
    assert result == pytest.approx(expected)


def test_square_root_is_the_default():
    assert keras_lbreg.scale_learning_rate(1.0, 1, 9) == 3.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("base_lr", 0.0),
        ("base_lr", math.inf),
        ("base_lr", math.nan),
        ("base_lr", "0.1"),
        ("base_batch", 0),
        ("base_batch", 2.5),
        ("batch", -1),
        ("batch", True),
        ("rule", "cubic"),
        ("rule", None),
    ],
)
def test_invalid_arguments_are_named(name, value):
    arguments = {"base_lr": 0.1, "base_batch": 32, "batch": 64, name: value}
    with pytest.raises(ValueError, match=f"argument `{name}`.*Expected"):
        keras_lbreg.scale_learning_rate(**arguments)
