"""Recipes are workloads: those whose results are recorded."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_lbreg.data import Dataset
from keras_lbreg.training.run import Run
from recipes.hoffer_2017.configuration import HABITS
from recipes.jaiswal_taura.configuration import FAMILIES, FULL, PX64, PX104
from recipes.yuan_2020.configuration import MOBILENET_V2
from recipes.yuan_2020.small import DIGITS as SMALL_DIGITS
from tests.recipes.studies import study_of

# Learning rate by epoch, weight decay, momentum: Hoffer et al.'s regimes.
REGIMES = {
    "f1": ({0: 0.1, 10: 0.01, 20: 1e-3, 30: 1e-4}, 1e-4, 0.9, 50),
    "c1": ({0: 1e-3, 60: 1e-2, 120: 1e-3, 180: 1e-4}, 5e-4, 0, 200),
    "c3": ({0: 1e-3, 60: 1e-2, 120: 1e-3, 180: 1e-4}, 5e-4, 0, 200),
    "resnet44": ({0: 0.1, 81: 0.01}, 1e-4, 0.9, 100),
    "wresnet16_4": ({0: 0.1, 60: 0.02}, 5e-4, 0.9, 100),
    "alexnet_4096": (
        {0: 0.01, 10: 5e-3, 15: 1e-3, 20: 5e-4, 25: 1e-4},
        5e-4,
        0.9,
        30,
    ),
}
# Jaiswal and Taura: eta = .01 at batch 32 falls at epoch 25, 40 and every
# tenth that follows, "by 10 %", in two readings.
DECAYS = {
    "x01": {0: 1e-2, 25: 1e-3, 40: 1e-4, 50: 1e-5, 60: 1e-6},
    "x09": {0: 0.01, 25: 0.009, 40: 0.0081, 50: 0.00729, 60: 0.006561},
}


def made_up(shape, classes=10, samples=8):
    generator = np.random.default_rng(0)
    x = generator.integers(0, 256, (samples, *shape), "uint8")
    y = np.arange(samples) % classes
    return Dataset("made_up", x, y, x[:4], y[:4], classes)


def stand_in(images):
    """A small network in place of a paper's."""
    mean, variance = images.moments()
    return keras.Sequential(
        [
            keras.Input(images.input_shape, dtype="uint8"),
            keras.layers.Normalization(mean=mean, variance=variance),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(images.classes),
        ]
    )


# Trained anew on TensorFlow, as recorded before arms were judged with
# re-estimated statistics.
@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("study", "name", "arm"),
    [
        ("hoffer_2017", "digits", "small_batch"),
        ("hoffer_2017", "digits", "lr_gbn"),
        ("jaiswal_taura", "digits_b128_x01", "lr_noise"),
        ("gradient_mix_2023", "sgd_mix", "mix_k8_c1"),
        ("yuan_2020", "digits_batch_512", "dreg_split"),
    ],
)
def test_first_epochs_are_those_recorded(study, name, arm):
    comparison = study_of(study).get(name)
    results = study_of(study).results(name)
    recorded = next(r for r in results.runs_of(arm) if r.seed == 0).epochs[:2]
    run = Run(comparison.workload(), comparison.get_arm(arm), seed=0)
    records = run.fit(run.build(), until=2 / run.plan.epochs)
    assert len(records) == 2
    for new, old in zip(records, recorded, strict=True):
        assert (new.epoch, new.updates) == (old.epoch, old.updates)
        assert new.learning_rate == pytest.approx(old.learning_rate)
        assert new.logs["loss"] == pytest.approx(old.logs["loss"], rel=1e-3)
        moving = new.logs["moving_val_accuracy"]
        assert moving == pytest.approx(old.objective, abs=0.005)


@pytest.mark.parametrize("name", REGIMES)
def test_hoffers_regimes(name):
    rates, decay, momentum, epochs = REGIMES[name]
    recipe = study_of("hoffer_2017").get(name).recipe
    regime = recipe.regime()
    assert (regime.base_batch_size, regime.epochs) == (128, epochs)
    found = {0: regime.base_learning_rate, **dict(regime.milestones)}
    assert found == pytest.approx(rates)
    assert (recipe.weight_decay, recipe.momentum) == (decay, momentum)
    assert recipe.clip == 5.0


def test_hoffers_large_batches():
    comparison = study_of("hoffer_2017").get("f1")
    data = made_up((28, 28, 1), samples=4096)
    recipe = dataclasses.replace(comparison.recipe, network=stand_in)
    comparison = dataclasses.replace(comparison, recipe=recipe)
    workload = comparison.workload(dataset=data)
    plans = {
        arm.name: Run(workload, arm).plan for arm in comparison.arm_objects()
    }
    assert plans["large_batch"].regime.base_learning_rate == 0.1
    scaled = plans["lr"].regime
    assert scaled.base_learning_rate == pytest.approx(0.1 * 32**0.5)
    adapted = plans["lr_gbn_ra"]
    assert adapted.epochs == 32 * 50
    assert [e for e, _ in adapted.regime.milestones] == [320, 640, 960]
    assert plans["lr_gbn"].techniques["ghost_batch_norm"] == {
        "ghost_batch_size": 128,
        "statistics": "sequential",
    }
    # The momentum is forgotten after an epoch of the arm's own length.
    model = Run(workload, comparison.get_arm("small_batch")).build()
    assert model.optimizer.get_config()["reset_momentum_every"] == 4096 // 128
    for _, changes in HABITS.values():
        other = dataclasses.replace(recipe, **changes)
        other.build_model(made_up((28, 28, 1)), steps_per_epoch=1)


@pytest.mark.parametrize("reading", DECAYS)
@pytest.mark.parametrize(
    ("batch", "arm", "factor"),
    [
        (128, "small_batch", 1),
        (64, "lr", 2),
        (64, "lr_noise", 2),
        (128, "lr_noise", 4),
    ],
)
def test_jaiswals_learning_rates(reading, batch, arm, factor):
    comparison = FULL.comparison(batch, reading)
    recipe = dataclasses.replace(comparison.recipe, network=stand_in)
    comparison = dataclasses.replace(comparison, recipe=recipe)
    workload = comparison.workload(dataset=made_up((256, 256, 3), samples=128))
    plan = Run(workload, comparison.get_arm(arm)).plan
    assert plan.batch_size == (32 if arm == "small_batch" else batch)
    assert plan.epochs == 70
    table = DECAYS[reading]
    for epoch in range(70):
        expected = factor * table[max(e for e in table if e <= epoch)]
        found = plan.regime.learning_rate_at(epoch)
        assert found == pytest.approx(expected), epoch


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_only_the_noise_differs_between_jaiswals_columns(family):
    comparison = family.comparison(128, "x01")
    lr, noise = (comparison.get_arm(a) for a in ("lr", "lr_noise"))
    assert list(lr.techniques) == ["lr_scaling"]
    assert list(noise.techniques) == ["lr_scaling", "gradient_noise"]
    recipe = comparison.recipe
    assert recipe.hyperparameters["lr_scaling"] == {"rule": "linear"}
    assert (recipe.optimizer, recipe.momentum) == ("sgd", 0.9)
    assert (recipe.weight_decay, recipe.clip) == (0.0, None)


@pytest.mark.parametrize(
    ("family", "seen"), [(FULL, 224), (PX104, 92), (PX64, 56)]
)
def test_networks_see_crops_of_pixels_from_0_to_1(family, seen):
    recipe = dataclasses.replace(family.recipe("x01"), network=stand_in)
    workload = recipe.workload(made_up((*family.stored, 3), 102, 128))
    x, _ = workload.validation_data
    assert x.shape[1:] == (seen, seen, 3)
    cut = workload.augmentation(
        workload.train_data[0][:2], np.random.default_rng(0)
    )
    assert cut.shape == (2, seen, seen, 3)
    model = workload.build_model(steps_per_epoch=1)
    assert model.input_shape == (None, seen, seen, 3)
    white = np.full((1, seen, seen, 3), 255, "uint8")
    np.testing.assert_allclose(model.layers[0](white), 1.0, rtol=1e-6)


def test_shortened_runs_drop_at_the_same_shares():
    comparison = study_of("hoffer_2017").get("digits")
    workload = comparison.workload(epochs=4)
    assert workload.regime.epochs == 4
    assert [e for e, _ in workload.regime.milestones] == [2, 3]
    assert comparison.folder_name(4) == "digits-4-epochs"
    assert comparison.folder_name(20) == "digits"


def test_recipes_normalization_and_dreg_layers():
    model = MOBILENET_V2.build_network(made_up((32, 32, 3)))
    norms = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert {(n.momentum, n.epsilon) for n in norms} == {(0.9, 1e-5)}
    assert model.get_layer(MOBILENET_V2.dreg_layer)
    workload = SMALL_DIGITS.workload("digits")
    assert workload.techniques["dreg"] == {"layer": "conv_3"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"optimizer": "adagrad"}, "`optimizer`"),
        ({"optimizer": "sgd"}, "`reset_momentum`"),
    ],
)
def test_wrong_optimizers_are_refused(changes, words):
    recipe = study_of("hoffer_2017").get("f1").recipe
    recipe = dataclasses.replace(recipe, network=stand_in, **changes)
    with pytest.raises(ValueError, match=words):
        recipe.build_model(made_up((28, 28, 1)), steps_per_epoch=1)
