"""What the papers ran: regimes, networks, arms, designs; and an epoch of it."""

import dataclasses
import itertools
import math
from functools import partial

import numpy as np
import pytest

from keras_lbreg.comparison import standard_arms
from keras_lbreg.data import Dataset
from keras_lbreg.training import Run
from keras_lbreg.workloads.networks import (
    c1,
    fully_connected,
    small_convolution,
)
from recipes import networks, paper
from recipes.__main__ import load
from recipes.hoffer_2017.configuration import HABITS
from recipes.jaiswal_taura.configuration import FULL, PX64, PX104
from recipes.together import screening
from recipes.together.configuration import DIGITS_PAIR, F1_PAIR
from recipes.yuan_2020.configuration import BATCH_SIZES, PUBLISHED, SCALE
from tests.recipes import recorded, results_of


def made_up(shape, classes=10, samples=64):
    generator = np.random.default_rng(0)
    x = generator.integers(0, 256, (samples, *shape), "uint8")
    y = np.arange(samples) % classes
    return Dataset("made_up", x, y, x[:32], y[:32], classes)


SHAPES = {
    "digits": (8, 8, 1),
    "mnist": (28, 28, 1),
    "cifar10": (32, 32, 3),
    "caltech101_3to1": (64, 64, 3),
}


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


# The new comparisons, and the cheapest of each recipe, on made-up images.
@pytest.mark.parametrize(
    ("name", "part", "arm"),
    [
        slow("hoffer_2017", "c1", "lr_gbn_ra"),
        slow("hoffer_2017", "lag_resnet8_short_m99", "lr_gbn_mean"),
        ("yuan_2020", "cifar16_2048", "mean_bounded_x2"),
        slow("jaiswal_taura", "px64_b128_x01", "lr_noise"),
        ("gradient_mix_2023", "lars_mix", "mix_k8_c0p3"),
        ("together", "digits_screen", None),
    ],
)
def test_an_epoch(name, part, arm, tmp_path, monkeypatch):
    monkeypatch.setattr(paper, "WORK", tmp_path)
    found = load(name)
    comparison = found.get(part)
    arms = comparison.all_arms()
    arm = arm or next(a for a in arms if a.endswith("gbn_noise_dreg_mix"))
    results = found.run(
        part,
        arms=[arm],
        seeds=1,
        epochs=1,
        samples=64,
        dataset=made_up(SHAPES[comparison.dataset]),
        progress=False,
    )
    [run] = results.runs
    assert (run.arm, run.status) == (arm, "finished")
    assert run.seed == comparison.first_seed


# Trained anew on TensorFlow, as recorded.
@recorded
@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("name", "part", "arm"),
    [
        ("hoffer_2017", "digits", "lr_gbn"),
        slow("jaiswal_taura", "digits_b128_x01", "lr_noise"),
        slow("gradient_mix_2023", "sgd_mix", "mix_k8_c1"),
        ("yuan_2020", "digits_batch_512", "dreg_split"),
    ],
)
def test_first_epochs_are_those_recorded(name, part, arm):
    comparison, results = load(name).get(part), load(name).results(part)
    recorded = next(r for r in results.runs_of(arm) if r.seed == 0).epochs[:2]
    standard = {a.name: a for a in standard_arms()}
    chosen = comparison.all_arms()[arm]
    run = Run(comparison.workload(), standard.get(chosen, chosen), seed=0)
    records = run.fit(run.build(), until=2 / run.plan.epochs)
    for new, old in zip(records, recorded, strict=True):
        assert (new.epoch, new.updates) == (old.epoch, old.updates)
        assert new.learning_rate == pytest.approx(old.learning_rate)
        assert new.logs["loss"] == pytest.approx(old.logs["loss"], rel=1e-3)
        moving = new.logs["moving_val_accuracy"]
        assert moving == pytest.approx(
            old.logs["moving_val_accuracy"], abs=0.005
        )


# Learning rate by epoch, weight decay, momentum: Hoffer et al.'s regimes.
REGIMES = {
    "f1": ({0: 0.1, 10: 0.01, 20: 1e-3, 30: 1e-4}, 1e-4, 0.9, 50),
    "c1": ({0: 1e-3, 60: 1e-2, 120: 1e-3, 180: 1e-4}, 5e-4, 0, 200),
    "resnet44": ({0: 0.1, 81: 0.01}, 1e-4, 0.9, 100),
    "wresnet16_4": ({0: 0.1, 60: 0.02}, 5e-4, 0.9, 100),
}


@pytest.mark.parametrize("name", REGIMES)
def test_hoffers_regimes(name):
    rates, decay, momentum, epochs = REGIMES[name]
    recipe = load("hoffer_2017").get(name).recipe
    regime = recipe.regime()
    assert (regime.base_batch_size, regime.epochs) == (128, epochs)
    found = {0: regime.base_learning_rate, **dict(regime.milestones)}
    assert found == pytest.approx(rates)
    assert (recipe.weight_decay, recipe.momentum) == (decay, momentum)
    assert recipe.clip == 5.0


def test_hoffers_trainer():
    comparison = load("hoffer_2017").get("f1")
    workload = comparison.workload(dataset=made_up((28, 28, 1), samples=4096))
    model = workload.build_model(steps_per_epoch=32)
    assert model.optimizer.get_config()["reset_momentum_every"] == 32
    images = (28, 28, 1), "uint8", 10, ([127.5], [16256.25])
    for _, changes in HABITS.values():
        other = dataclasses.replace(comparison.recipe, **changes)
        other.build_model(images, steps_per_epoch=1)
    short = comparison.workload(epochs=5, dataset=made_up((28, 28, 1)))
    assert [e for e, _ in short.regime.milestones] == [1, 2, 3]
    assert comparison.stem(5) == "f1-5-epochs"
    assert comparison.stem(50) == "f1"


# Jaiswal and Taura: eta = .01 at batch 32 falls at epoch 25, 40 and every
# tenth that follows, "by 10 %", in two readings.
@pytest.mark.parametrize(
    ("reading", "rates"),
    [
        ("x01", {0: 1e-2, 25: 1e-3, 40: 1e-4, 50: 1e-5, 60: 1e-6}),
        ("x09", {0: 0.01, 25: 0.009, 40: 0.0081, 50: 0.00729, 60: 0.006561}),
    ],
)
def test_jaiswals_regimes(reading, rates):
    comparison = FULL.comparison(128, reading)
    regime = comparison.recipe.regime()
    found = {0: regime.base_learning_rate, **dict(regime.milestones)}
    assert found == pytest.approx(rates)
    assert (regime.base_batch_size, regime.epochs) == (32, 70)
    assert comparison.recipe.techniques["lr_scaling"] == {"rule": "linear"}


@pytest.mark.parametrize(
    ("family", "seen"), [(FULL, 224), (PX104, 92), (PX64, 56)]
)
def test_networks_see_crops_of_pixels_from_0_to_1(family, seen):
    recipe = dataclasses.replace(
        family.recipe("x01"), network=small_convolution
    )
    workload = recipe.workload(made_up((*family.stored, 3), 64), "test")
    x, _ = workload.validation_data
    assert x.shape[1:] == (seen, seen, 3)
    model = workload.build_model(steps_per_epoch=1)
    assert model.input_shape == (None, seen, seen, 3)
    white = np.full((1, seen, seen, 3), 255, "uint8")
    np.testing.assert_allclose(model.layers[0](white), 1.0, rtol=1e-6)


CIFAR = (32, 32, 3)


@pytest.mark.parametrize(
    ("network", "shape", "classes", "trainable"),
    [
        (
            partial(fully_connected, widths=(512,) * 5),
            (28, 28, 1),
            10,
            1_462_794,
        ),
        (c1, CIFAR, 10, 1_388_490),
        (networks.resnet44, CIFAR, 10, 661_338),
        (networks.resnet18, CIFAR, 10, 11_173_962),
        (networks.wide_resnet16_4, CIFAR, 100, 2_800_804),
        (networks.vgg16, CIFAR, 10, 33_642_442),
        (networks.mobilenet_v2, CIFAR, 10, 2_236_682),
        (networks.resnet50, (92, 92, 3), 102, 23_743_590),
    ],
)
def test_networks_have_the_published_sizes(network, shape, classes, trainable):
    channels = shape[-1]
    moments = [0.0] * channels, [1.0] * channels
    model = network(shape, "uint8", classes, moments)
    assert model.output_shape == (None, classes)
    assert model.inputs[0].dtype == "uint8"
    count = sum(math.prod(v.shape) for v in model.trainable_variables)
    assert count == trainable


def test_yuans_grid():
    assert [c.batch_size for c in PUBLISHED[:28]] == list(BATCH_SIZES) * 4
    for comparison in load("yuan_2020").comparisons:
        arms = comparison.all_arms()
        control = "warm_x2" if comparison is SCALE else "doubled"
        assert "large_batch" in arms
        assert arms[control].learning_rate_factor == 2.0
        for arm in arms.values():
            if "dreg" in getattr(arm, "techniques", ()):
                assert arm.control == control
        layer = comparison.recipe.techniques["dreg"]["layer"]
        assert isinstance(layer, str)
    arms = PUBLISHED[0].all_arms()
    assert arms["dreg"].techniques["dreg"] == {
        "weight": 0.1,
        "path_reduction": "sum",
        "paths": "both",
        "distance": "frobenius",
    }


@pytest.mark.parametrize("runs", [screening.IN_32_RUNS, screening.IN_16_RUNS])
def test_designs_have_resolution_4(runs):
    columns = [np.array([run[letter] for run in runs]) for letter in "ABCDEFG"]
    for count in (1, 2, 3):
        for chosen in itertools.combinations(columns, count):
            assert np.prod(chosen, axis=0).sum() == 0
    names = {screening.combination_of(run).name for run in runs}
    assert len(names) == len(runs)


@recorded
@pytest.mark.parametrize("pair", [DIGITS_PAIR, F1_PAIR])
def test_what_is_confirmed_was_not_seen_when_it_was_chosen(pair):
    screen, confirmation = pair
    assert screen.holdout > 0 == confirmation.holdout
    assert confirmation.first_seed >= screen.first_seed + screen.seeds
    free = {"small_batch", "large_batch", "lr", "lr_doubled", "linear"}
    results = load("together").results(screen.name)
    chosen = {one.name for one in screening.chosen(results)}
    assert chosen
    assert free | chosen <= set(confirmation.all_arms())
    # The sum of two losses would be a doubled learning rate.
    assert screen.recipe.techniques["dreg"]["path_reduction"] == "mean"
    assert len(screening.COMBINATIONS) == 128


def made_up_screen(seed, noise):
    """Accuracies with known effects, and what these are."""
    random = np.random.default_rng(seed)
    rate, switch = (
        dict(zip(names, random.normal(size=len(names)), strict=True))
        for names in (screening.RATES, screening.SWITCHES)
    )
    values = {
        one: 0.9
        + rate[one.rate]
        + sum(switch[name] for name in one.switches)
        + noise * random.normal()
        for one in map(screening.combination_of, screening.IN_32_RUNS)
    }
    return values, rate, switch


def screen_of(values, seeds=1):
    """Results with these accuracies of the first of some seeds."""
    return results_of(
        {one.name: [[value]] for one, value in values.items()}, seeds
    )


def test_effects_are_those_of_least_squares():
    values, _, _ = made_up_screen(0, noise=0.3)
    columns = [np.ones(32)]
    for rate in list(screening.RATES)[1:]:
        columns.append([one.rate == rate for one in values])
    for switch in screening.SWITCHES:
        columns.append([switch in one.switches for one in values])
    matrix = np.array(columns, float).T
    y = np.array(list(values.values()))
    coefficients, [squares], _, _ = np.linalg.lstsq(matrix, y)
    variance = squares / (32 - 9)
    errors = np.sqrt(variance * np.diag(np.linalg.inv(matrix.T @ matrix)))
    found = screening.effects(screen_of(values))
    np.testing.assert_allclose([e.mean for e in found], coefficients[1:])
    # 2.069: the 97.5 % quantile of Student's law with 23 degrees of freedom.
    np.testing.assert_allclose(
        [e.error for e in found], 2.0687 * errors[1:], rtol=1e-4
    )


def test_the_best_are_chosen_and_references_left_out():
    values, rate, switch = made_up_screen(1, noise=0.0)
    best = screening.predicted_best(values)
    assert best.rate == max(rate, key=rate.get)
    assert set(best.switches) == {s for s, e in switch.items() if e > 0}
    reference = next(c for c in values if c.name == "sqrt_x2")
    values[reference] = 100.0
    ranked = sorted(values, key=values.get, reverse=True)
    picked = screening.chosen(screen_of(values))
    assert picked[:2] == ranked[1:3]
    assert reference not in picked
    # Nothing is chosen of a screen that has not ended.
    screen = screen_of(values, seeds=2)
    assert screening.chosen(screen) == screening.effects(screen) == []
