"""The run that is made under every strategy, and on one device."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_lbreg.cli.leave import leave
from keras_lbreg.experiments import choose_strategy, recipes, run
from tests.experiments.small_problem import experiment

EPOCHS = 8  # of three updates each
CLIP = 0.5
SETTINGS = {
    "ghost_batch_norm": {"ghost_batch_size": 8},
    "gradient_noise": {"alpha": 1e-8},
    # Two replicas mix them in their optimizer.
    "gradient_mix": {"groups": 2},
}


def make_experiment(folder, **kwargs):
    return experiment(
        folder,
        arms=("all",),
        epochs=EPOCHS,
        hyperparameters=SETTINGS,
        **kwargs,
    )


def train(chosen, folder, on_event=None):
    """Train with all techniques at once and a gradient that is clipped."""
    clipped = dataclasses.replace(recipes.OTHERS, clip=CLIP)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipes, "OTHERS", clipped)
        result = run(
            chosen,
            "all",
            on_event=on_event,
            model_path=folder / "model.keras",
        )
    assert result.status == "finished", result.reason
    return result


def load_model(folder):
    return keras.saving.load_model(folder / "model.keras")


def check_same_parameters(model, expected):
    for ours, theirs in zip(
        model.trainable_variables, expected.trainable_variables, strict=True
    ):
        difference = np.abs(np.array(ours) - np.array(theirs)).max()
        assert difference <= 1e-5, ours.path


if __name__ == "__main__":
    import pathlib
    import sys

    [place] = map(pathlib.Path, sys.argv[1:])
    train(make_experiment(place, strategy="multi-worker"), place)
    leave(choose_strategy("multi-worker"))
