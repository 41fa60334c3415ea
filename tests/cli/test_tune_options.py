"""What the options of `lbreg tune` stand for."""

import pytest

from keras_lbreg.cli.tune_options import (
    parse_batch_sizes,
    parse_budget,
    parse_factor,
    parse_ranges,
)
from keras_lbreg.techniques import SearchRange


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("90s", 90),
        ("30m", 1800),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1h0m5s", 3605),
        ("1.5h", 5400),
    ],
)
def test_budget(text, seconds):
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "0s", "-5m", "m", "30m2h", "1d"])
def test_budget_that_is_none(text):
    with pytest.raises(ValueError, match=r"`--budget`.*1h30m\. Received: "):
        parse_budget(text)


def test_batch_sizes():
    assert parse_batch_sizes(None) == ()
    assert parse_batch_sizes("4096") == (4096,)
    assert parse_batch_sizes("1024, 4096") == (1024, 4096)
    for text in ("", "big", "1024,", "10.5"):
        with pytest.raises(ValueError, match="`--batch-size`"):
            parse_batch_sizes(text)


def test_learning_rate_factor():
    assert parse_factor("0.25..4") == (0.25, 4.0)
    assert parse_factor("none") is None
    for text in ("4", "4..1", "0..1", "a..b", "1..inf", "1..2..3", "nan..1"):
        with pytest.raises(ValueError, match="`--learning-rate-factor`"):
            parse_factor(text)


def test_ranges():
    ranges = [
        "dreg.weight=0.01..1:log",
        "dreg.layer=block/dense_1, dense_2",
        "lr_scaling.warmup_epochs=0..3",
        "gradient_noise.gamma=0..0.5",
        "ghost_batch_norm.ghost_batch_size=16,32",
    ]
    assert parse_ranges(ranges, ["dreg.distance=bounded"]) == {
        "dreg": {
            "distance": ("bounded",),
            "weight": SearchRange(0.01, 1.0, log=True),
            "layer": ("block/dense_1", "dense_2"),
        },
        "lr_scaling": {"warmup_epochs": SearchRange(0, 3)},
        "gradient_noise": {"gamma": SearchRange(0.0, 0.5)},
        "ghost_batch_norm": {"ghost_batch_size": (16, 32)},
    }
    assert parse_ranges(None, None) == {}


def test_integers_make_a_range_of_integers():
    ranges = parse_ranges(["a.whole=1..4", "a.real=1.0..4"], None)["a"]
    assert type(ranges["whole"].low) is type(ranges["whole"].high) is int
    assert type(ranges["real"].low) is type(ranges["real"].high) is float


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("weight=1..2", "no TECHNIQUE.NAME=VALUES"),
        ("dreg.weight", "no TECHNIQUE.NAME=VALUES"),
        ("dreg.weight=", "no TECHNIQUE.NAME=VALUES"),
        ("dreg.weight=1..", "a value is missing"),
        ("dreg.layer=a,,b", "a value is missing"),
        ("dreg.weight=a..b", "a bound is no number"),
        ("dreg.weight=1..1e999", "a bound is no number"),
        ("dreg.weight=2..1", "not below the highest"),
        ("dreg.weight=0..1:log", "no logarithm"),
        ("dreg.weight=0..1:lin", "the scale 'lin'"),
        ("dreg.distance=a..b", "a bound is no number"),
        ("dreg.path_reduction=sum", "has values already"),
    ],
)
def test_ranges_with_a_mistake(text, why):
    with pytest.raises(ValueError, match="`--range`") as error:
        parse_ranges([text], ["dreg.path_reduction=mean"])
    assert text in str(error.value)
    assert why in str(error.value)
