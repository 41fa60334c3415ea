"""GradientMix's recipe: its grid, its formulas, one epoch of each kind."""

import math
import statistics

import keras
import numpy as np
import pytest
import scipy.stats

from keras_lbreg.data.load_dataset import load_dataset
from keras_lbreg.experiments import compare
from keras_lbreg.experiments.make_optimizer import make_optimizer
from keras_lbreg.experiments.plan import make_plan
from keras_lbreg.experiments.statistics import Stat
from recipes.gradient_mix_2023 import covariance, effective_batch
from recipes.gradient_mix_2023.configuration import (
    CONCENTRATIONS,
    GROUPS,
    OPTIMIZERS,
    RATES,
    TUNED,
    grid,
    number_name,
)
from recipes.gradient_mix_2023.local_gradients import coarser
from recipes.gradient_mix_2023.measurement_tables import deviations, joined
from recipes.gradient_mix_2023.study import STUDY
from recipes.study.verdicts import p_value, survivors_of_many, verdict


def plans(name):
    experiment = STUDY.get(name).experiment("unused")
    dataset = load_dataset("digits")
    return {arm: make_plan(experiment, arm, dataset) for arm in experiment.arms}


def test_sgd_runs_with_the_whole_grid_and_the_others_with_eight_groups():
    assert len(grid("sgd")) == 25
    for name in ("adam", "lamb", "lars"):
        assert grid(name) == [(8, c) for c in CONCENTRATIONS]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_mixing_has_plain_averagings_rate_and_budget(optimizer):
    planned = plans(f"{optimizer}_mix")
    plain = planned["large_batch"]
    assert plain.techniques == {}
    assert plain.regime.base_learning_rate == TUNED[optimizer]
    # 1,024 samples, 512 at a time, 20 times.
    assert plain.updates == 40
    for plan in planned.values():
        assert plan.regime == plain.regime
        assert plan.updates == plain.updates
    parameters = {
        (p["groups"], p["concentration"])
        for plan in planned.values()
        if (p := plan.techniques.get("gradient_mix"))
    }
    assert parameters == set(grid(optimizer))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_rates_are_tried_on_held_out_data_and_other_seeds(optimizer):
    tuning = STUDY.get(f"{optimizer}_rate").experiment("unused")
    judged = STUDY.get(f"{optimizer}_mix").experiment("unused")
    assert tuning.holdout > 0
    assert judged.holdout == 0
    assert not set(tuning.seed_range) & set(judged.seed_range)
    rates = [
        make_plan(tuning, arm, load_dataset("digits")).regime.base_learning_rate
        for arm in tuning.arms
    ]
    np.testing.assert_allclose(rates, RATES[optimizer])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_tuned_rate_is_the_best_of_the_recorded_ones(optimizer):
    results = STUDY.results(f"{optimizer}_rate")
    means = {
        rate: statistics.fmean(
            run.final_val_accuracy
            for run in results.runs_of(f"rate_{number_name(rate)}")
        )
        for rate in RATES[optimizer]
    }
    assert max(means, key=means.get) == TUNED[optimizer]
    # With the best at the end of the grid, there might be a better one.
    assert TUNED[optimizer] not in (RATES[optimizer][0], RATES[optimizer][-1])


def test_optimizers_are_what_their_names_say():
    classes = {"sgd": "SGD", "adam": "Adam", "lamb": "Lamb", "lars": "LARS"}
    for name, expected in classes.items():
        recipe = STUDY.get(f"{name}_mix").recipe
        optimizer = make_optimizer(recipe, recipe.learning_rate, 2)
        assert type(optimizer).__name__ == expected
        decay = getattr(optimizer, "momentum", None) or optimizer.beta_1
        assert decay == 0.9


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_one_epoch_trains(optimizer, tmp_path):
    experiment = STUDY.get(f"{optimizer}_mix").experiment(
        tmp_path, seeds=1, epochs=1, arms=("mix_k8_c0p3",)
    )
    [run] = compare(experiment).runs
    assert run.status == "finished"
    assert run.epochs[-1].updates == 2


def test_imagenet_has_goyals_rate_after_warm_up():
    comparison = STUDY.get("imagenet_sgd")
    dataset = type(
        "Dataset",
        (),
        {"x_train": range(1281167), "x_val": range(50000)},
    )
    experiment = comparison.experiment("unused")
    plan = make_plan(experiment, "lr", dataset)
    schedule = plan.regime.to_schedule(plan.steps_per_epoch)
    steps = plan.steps_per_epoch
    assert plan.batch_size == 32768
    assert steps == 39
    # .1 at batch 256, so 12.8 at 32,768; up to it in five epochs.
    rates = [float(schedule(e * steps)) for e in (5, 29, 30, 60, 80)]
    np.testing.assert_allclose(rates, [12.8, 12.8, 1.28, 0.128, 0.0128])
    assert float(schedule(2 * steps)) < 12.8 / 2


@pytest.mark.parametrize("concentration", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("groups", [2, 8])
def test_the_predicted_covariance_is_that_of_the_dirichlet_law(
    groups, concentration
):
    random = np.random.default_rng(1)
    gradients = random.normal(size=(groups, 5))
    law = scipy.stats.dirichlet([concentration] * groups)
    exact = gradients.T @ law.cov() @ gradients
    centered = gradients - gradients.mean(axis=0)
    factor = covariance.predicted_factor(groups, concentration)
    np.testing.assert_allclose(
        factor * centered.T @ centered / groups, exact, atol=1e-12
    )


def test_compared_noise_is_that_of_numpys_covariance():
    random = np.random.default_rng(2)
    gradients = random.normal(size=(4, 3))
    weights = random.dirichlet([0.5] * 4, size=4000)
    found = covariance.compare_noise(gradients, weights, 0.5)
    mixed = weights @ gradients - gradients.mean(axis=0)
    np.testing.assert_allclose(
        found["trace"], np.mean(np.sum(mixed**2, axis=1))
    )
    exact = gradients.T @ scipy.stats.dirichlet([0.5] * 4).cov() @ gradients
    np.testing.assert_allclose(found["trace_formula"], np.trace(exact))
    first = np.linalg.eigh(exact)[1][:, -1]
    np.testing.assert_allclose(
        1 + found["first_error"],
        np.mean((mixed @ first) ** 2) / np.linalg.eigvalsh(exact)[-1],
    )
    assert abs(found["trace_error"]) < 4 * found["trace_standard_error"]


def test_the_effective_batch_is_that_of_the_exact_noise():
    # Samples' gradients of variance 1 in each of 6 directions: the noise of
    # a batch of B is 6 / B, that of weights w on K groups 6 K sum w^2 / B.
    for k in GROUPS:
        for c in CONCENTRATIONS:
            weights = scipy.stats.dirichlet([c] * k)
            squares = k * np.sum(weights.var() + weights.mean() ** 2)
            share = effective_batch.predicted_share(k, c)
            assert share == pytest.approx(1 / squares)


def test_products_of_groups_are_those_of_mean_gradients():
    random = np.random.default_rng(3)
    gradients = random.normal(size=(10, 4))
    samples = random.integers(10, size=12)
    means = gradients[samples].reshape(4, 3, 4).mean(axis=1)
    products = effective_batch.local_products(
        gradients @ gradients.T, samples, 4
    )
    np.testing.assert_allclose(products, means @ means.T)
    pairs = coarser(means, 2)
    np.testing.assert_allclose(
        effective_batch.coarser_products(products, 2), pairs @ pairs.T
    )


def test_a_plain_mean_has_its_own_batch():
    random = np.random.default_rng(4)
    groups = random.normal(size=(4000, 32, 3)) + 1.0
    small = np.mean(np.sum(groups**2, axis=2), axis=1)
    big = np.sum(groups.mean(axis=1) ** 2, axis=1)
    share, error = effective_batch.measured_share(big, small, big)
    assert share == pytest.approx(1.0)
    assert error < 1e-6


@pytest.mark.slow
def test_a_measurement_in_small():
    done = []
    found = covariance.measure_covariance(
        {"seeds": 1}, lambda *progress: done.append(progress), draws=300
    )
    assert len(found["cells"]) == 25
    assert done[-1] == (25, 25)
    # A training step's own gradient is the mixed one, up to rounding.
    assert found["training_error"] < 1e-4


def test_a_training_step_takes_the_mixed_gradient():
    from recipes.gradient_mix_2023.local_gradients import local_gradients

    dataset = load_dataset("digits")
    model = keras.Sequential(
        [
            keras.Input(dataset.input_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(dataset.classes),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1.0), loss)
    samples = np.arange(64)
    gradients = local_gradients(model, dataset, samples.reshape(4, 16))
    error = covariance.training_error(
        model, dataset, samples, gradients, seed=1, concentration=0.5
    )
    assert error < 1e-5


def test_errors_of_seeds_are_joined():
    cells = [
        {"groups": 2, "concentration": 1.0, "x": x, "e": e}
        for x, e in ((1.0, 3.0), (2.0, 4.0))
    ]
    assert joined(cells, "x", "e") == {(2, 1.0): (1.5, 2.5)}
    assert deviations(cells, "x", "e") == {(2, 1.0): (1.5, 2.5)}
    for cell in cells:
        cell["formula"] = 2.0
    relative = deviations(cells, "x", "e", "formula")
    assert relative == {(2, 1.0): (-0.25, 1.25)}


def test_p_values_are_scipys():
    values = [0.01, 0.03, -0.01, 0.02]
    expected = scipy.stats.ttest_1samp(values, 0.0).pvalue
    assert p_value(Stat.of(values)) == pytest.approx(expected)
    assert math.isnan(p_value(Stat.of([0.1])))
    assert p_value(Stat.of([0.1, 0.1, 0.1])) == 0.0
    assert p_value(Stat.of([0.0, 0.0])) == 1.0


def test_verdicts_and_holms_method():
    assert verdict(Stat.of([0.04, 0.05, 0.06])) == "better"
    assert verdict(Stat.of([-0.04, -0.05, -0.06])) == "worse"
    assert verdict(Stat.of([-0.04, 0.05, 0.06])) == ""
    # Holm 1979: .01 < .05/4, .013 < .05/3, .04 > .05/2.
    assert survivors_of_many([0.04, 0.01, 0.5, 0.013]) == 2
    assert survivors_of_many([math.nan]) == 0
