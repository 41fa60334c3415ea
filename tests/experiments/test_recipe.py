"""What a recipe says reaches the model, the optimizer and the data."""

import dataclasses

import keras
import numpy as np
import pytest

import keras_lbreg
from keras_lbreg.data import load_dataset
from keras_lbreg.data.augmentation import Augmentation
from keras_lbreg.experiments import Experiment, build
from keras_lbreg.experiments.make_optimizer import make_optimizer
from keras_lbreg.experiments.plan import make_plan
from keras_lbreg.experiments.recipes import recipe_for

DIGITS = load_dataset("digits")
RECIPE = dataclasses.replace(
    recipe_for("digits"),
    name="test/all",
    momentum=0.8,
    clip=3.0,
    optimizer="coupled_sgd",
    weight_decay=1e-3,
    reset_momentum=True,
    augmentation=Augmentation(pad=1, flip=True),
    pixel_moments=((4.0,), (9.0,)),
    norm_momentum=0.7,
    norm_epsilon=0.02,
)


def prepared(recipe=RECIPE):
    dataset = recipe.prepare(DIGITS)
    experiment = Experiment("digits", recipe=recipe)
    return dataset, make_plan(experiment, "large_batch", dataset)


def test_normalization_and_pixels():
    dataset, plan = prepared()
    model = build.build_model(plan, dataset, seed=0)
    norms = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert norms
    for layer in norms:
        assert (layer.momentum, layer.epsilon) == (0.7, 0.02)
    [pixels] = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.Normalization)
    ]
    images = DIGITS.x_val[:3]
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(pixels(images)),
        (images.astype("float32") - 4) / 3,
        rtol=1e-5,
    )


def test_optimizer():
    dataset, plan = prepared()
    optimizer = build.build_model(plan, dataset, seed=0).optimizer
    assert isinstance(optimizer, keras_lbreg.CoupledSGD)
    assert optimizer.momentum == 0.8
    assert optimizer.weight_decay == 1e-3
    assert optimizer.global_clipnorm == 3.0
    assert optimizer.reset_momentum_every == plan.steps_per_epoch


@pytest.mark.parametrize(
    ("name", "kind", "field"),
    [
        ("sgd", keras.optimizers.SGD, "momentum"),
        ("adam", keras.optimizers.Adam, "beta_1"),
        ("lamb", keras.optimizers.Lamb, "beta_1"),
        ("lars", keras_lbreg.LARS, "momentum"),
    ],
)
def test_other_optimizers(name, kind, field):
    recipe = dataclasses.replace(RECIPE, optimizer=name, reset_momentum=False)
    optimizer = make_optimizer(recipe, 0.1, steps_per_epoch=5)
    assert type(optimizer) is kind
    assert getattr(optimizer, field) == 0.8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "momentum"}, "Expected one of .*'lars'"),
        ({"optimizer": "adam"}, "`reset_momentum`"),
    ],
)
def test_bad_optimizers(changes, message):
    recipe = dataclasses.replace(RECIPE, **changes)
    with pytest.raises(ValueError, match=message):
        make_optimizer(recipe, 0.1, steps_per_epoch=5)


def test_a_recipe_needs_a_name():
    with pytest.raises(ValueError, match="a `Recipe` with a"):
        Experiment("digits", recipe=recipe_for("digits"))


def test_images_are_augmented_and_the_same_after_a_resume():
    dataset, plan = prepared()
    stream = iter(build.build_data(plan, dataset, seed=3))
    batches = [np.array(next(stream)[0]) for _ in range(3)]
    later = iter(build.build_data(plan, dataset, seed=3, initial_epoch=1))
    assert plan.steps_per_epoch == 2
    np.testing.assert_array_equal(np.array(next(later)[0]), batches[2])
    plain = dataclasses.replace(RECIPE, augmentation=None)
    untouched = iter(build.build_data(prepared(plain)[1], DIGITS, seed=3))
    first = np.array(next(untouched)[0])
    # The places are a function of seed and update, and of nothing else.
    generator = np.random.default_rng([3, 0, build.AUGMENTATION])
    expected = RECIPE.augmentation(first, generator)
    np.testing.assert_array_equal(batches[0], expected)
    assert (first != expected).any()
