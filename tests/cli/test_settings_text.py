"""Configurations in short form."""

from keras_lbreg.cli.settings_text import settings_legend, settings_text
from keras_lbreg.tuning import Configuration


def test_techniques_stand_in_the_order_of_the_register():
    configuration = Configuration(
        4096,
        {
            "dreg": {"layer": "dense_2", "weight": 0.02123},
            "regime_adaptation": {},
            "lr_scaling": {"warmup_epochs": 2, "rule": "sqrt"},
        },
        1.2345,
    )
    text = "x1.2 LR(sqrt, 2) RA DReg(0.021, dense_2)"
    assert settings_text(configuration) == f"4,096 {text}"
    assert settings_text(configuration, batch_size=False) == text


def test_the_plain_large_batch():
    plain = Configuration(512, {})
    assert settings_text(plain) == "512"
    assert settings_text(plain, batch_size=False) == "nothing added"


def test_the_legend_has_the_same_order():
    keys = [
        "batch_size",
        "dreg",
        "dreg.layer",
        "dreg.weight",
        "regime_adaptation",
    ]
    space = [{"class_name": "x", "config": {"name": key}} for key in keys]
    assert settings_legend(space) == "DReg(weight, layer), RA"
    assert settings_legend(space[:1]) == ""
