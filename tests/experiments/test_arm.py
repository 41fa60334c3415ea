import pytest

from keras_lbreg.experiments import Arm


def tuned(**changes):
    settings = {
        "name": "tuned",
        "title": "Tuned",
        "group": "tuned",
        "techniques": ("lr_scaling", "dreg"),
        "hyperparameters": {"dreg": {"weight": 0.02}},
    }
    return Arm(**{**settings, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "two words"}, "`name`.*'two words'"),
        ({"name": ""}, "`name`"),
        ({"batch": "huge"}, "`batch`.*'large'.*'huge'"),
        ({"techniques": ("dregg",)}, "Expected one of.*'dregg'"),
        ({"learning_rate_factor": 0}, "`learning_rate_factor`.*above 0"),
        ({"techniques": ("lr_scaling",)}, r"`hyperparameters`.*\['dreg'\]"),
        ({"hyperparameters": {"dreg": {"wait": 1}}}, r"\['wait'\]"),
        ({"hyperparameters": {"dreg": {"weight": "much"}}}, r"`dreg\.weight`"),
    ],
)
def test_bad_arguments(changes, message):
    assert tuned().batch == "large"
    with pytest.raises(ValueError, match=message):
        tuned(**changes)
