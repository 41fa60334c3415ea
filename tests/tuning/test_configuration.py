import json

from keras_lbreg.tuning import Configuration


def test_configuration_goes_through_json():
    configuration = Configuration(
        512, {"dreg": {"weight": 0.5, "layer": "conv"}, "lr_scaling": {}}, 1.5
    )
    text = json.dumps(configuration.to_json())
    assert Configuration.from_json(json.loads(text)) == configuration


def test_factor_has_a_default():
    assert Configuration(64, {}).learning_rate_factor == 1.0
