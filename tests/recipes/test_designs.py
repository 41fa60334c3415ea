"""What is compared: arms, controls, designs, and the data that choose."""

import itertools

import numpy as np
import pytest

from recipes.gradient_mix_2023.configuration import (
    CONCENTRATIONS,
    OPTIMIZERS,
    TUNED,
    grid,
)
from recipes.jaiswal_taura.configuration import FULL, SWEEP
from recipes.together import choice
from recipes.together.combination import (
    RATES,
    SWITCHES,
    all_combinations,
    combination_of,
)
from recipes.together.configuration import (
    DIGITS_PAIR,
    F1_PAIR,
    IN_16_RUNS,
    IN_32_RUNS,
)
from recipes.yuan_2020.configuration import BATCHES, OTHERS
from tests.recipes.studies import study_of

YUAN = study_of("yuan_2020")


@pytest.mark.parametrize("comparison", YUAN.comparisons, ids=lambda c: c.name)
def test_every_dreg_comparison_has_its_control(comparison):
    arms = {arm.name: arm for arm in comparison.arm_objects()}
    assert {"large_batch", "doubled"} <= set(arms)
    for arm in arms.values():
        doubled = arm.name == "doubled"
        assert arm.learning_rate_factor == (2.0 if doubled else 1.0)
        if "dreg" in arm.techniques:
            assert arm.control == "doubled"


def test_yuans_grid():
    sizes = [1024 * n for n in (2, 4, 6, 8, 10, 20, 30)]
    assert [c.batch_size for c in BATCHES] == sizes * 4
    weights = next(c for c in OTHERS if c.part == "Fig. 7")
    dreg = [arm.techniques.get("dreg") for arm in weights.extra_arms]
    assert [d["weight"] for d in dreg if d] == [0.001, 0.01, 0.1, 1.0]
    momenta = [c for c in OTHERS if c.part == "Fig. 8"]
    assert [c.recipe.momentum for c in momenta] == [0.0, 0.5, 0.9]
    arms = YUAN.get("digits_batch_64").arm_objects()
    dreg = {a.name: a.techniques["dreg"] for a in arms if a.techniques}
    paper = {"path_reduction": "sum", "paths": "both", "distance": "frobenius"}
    assert dreg["dreg"] == {"weight": 0.1, **paper}
    for arm, changed in (
        ("dreg_mean", {"path_reduction": "mean"}),
        ("dreg_split", {"paths": "split"}),
        ("dreg_relative", {"distance": "bounded"}),
    ):
        assert dreg[arm] == {**dreg["dreg"], **changed}


def test_jaiswals_sweep_goes_over_the_decades():
    assert list(SWEEP) == [1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]
    for alpha, arm in SWEEP.items():
        assert arm.techniques["gradient_noise"]["alpha"] == alpha
    assert {arm.name for arm in SWEEP.values()} < set(FULL.sweep().arms)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_mixing_has_plain_averagings_rate_and_other_data_to_tune_it(optimizer):
    study = study_of("gradient_mix_2023")
    tuning = study.get(f"{optimizer}_rate")
    judged = study.get(f"{optimizer}_mix")
    assert tuning.holdout > 0 == judged.holdout
    assert tuning.first_seed >= judged.first_seed + judged.seeds
    assert judged.recipe.learning_rate == TUNED[optimizer]
    mixed = [arm.techniques.get("gradient_mix") for arm in judged.arm_objects()]
    found = {(m["groups"], m["concentration"]) for m in mixed if m}
    assert found == set(grid(optimizer))
    assert {c for _, c in found} == set(CONCENTRATIONS)


def words(design, length):
    """Products of so many columns."""
    letters = sorted(design[0])
    return {
        word: np.prod([[run[x] for x in word] for run in design], axis=1)
        for word in map("".join, itertools.combinations(letters, length))
    }


@pytest.mark.parametrize(
    ("design", "size", "words_of_four"),
    # Box, Hunter and Hunter, table 6.22: the defining words of length four of
    # 2^(7-2) and 2^(7-3).
    [(IN_32_RUNS, 32, 1), (IN_16_RUNS, 16, 7)],
)
def test_designs_have_resolution_four(design, size, words_of_four):
    assert len({combination_of(run) for run in design}) == len(design) == size
    for length in (1, 2, 3):
        for column in words(design, length).values():
            assert column.sum() == 0
    defining = [abs(c.sum()) == size for c in words(design, 4).values()]
    assert sum(defining) == words_of_four


@pytest.mark.parametrize("pair", [DIGITS_PAIR, F1_PAIR])
def test_what_is_confirmed_was_not_seen_when_it_was_chosen(pair):
    screen, confirmation = pair
    assert screen.holdout > 0 == confirmation.holdout
    assert confirmation.first_seed >= screen.first_seed + screen.seeds
    arms = {arm.name: arm for arm in confirmation.arm_objects()}
    free = {"small_batch", "large_batch", "lr", "lr_doubled", "linear"}
    assert free < set(arms)
    assert {one.name for one in confirmation.picked()} < set(arms)
    # The sum of two losses would be a doubled learning rate.
    assert screen.recipe.hyperparameters["dreg"]["path_reduction"] == "mean"
    assert len({one.name for one in all_combinations()}) == 128


def made_up(seed, noise):
    """Accuracies with known effects, and what they are."""
    random = np.random.default_rng(seed)
    rate = dict(zip(RATES, random.normal(size=4), strict=True))
    switch = dict(zip(SWITCHES, random.normal(size=5), strict=True))
    values = {
        one: 0.9
        + rate[one.rate]
        + sum(switch[name] for name in one.switches)
        + noise * random.normal()
        for one in map(combination_of, IN_32_RUNS)
    }
    return values, rate, switch


class Screen:
    """Results with these accuracies, of one seed."""

    def __init__(self, values):
        self.values = {one.name: value for one, value in values.items()}
        self.arm_names = ["lr", *self.values]
        self.manifest = {"seeds": [0]}

    def runs_of(self, name):
        class Run:
            status = "finished"
            final = self.values[name]

        return [Run]


def test_effects_are_those_of_least_squares():
    values, _, _ = made_up(0, noise=0.3)
    columns = [np.ones(32)]
    for rate in list(RATES)[1:]:
        columns.append([one.rate == rate for one in values])
    for switch in SWITCHES:
        columns.append([switch in one.switches for one in values])
    matrix = np.array(columns, float).T
    y = np.array(list(values.values()))
    coefficients, [squares], _, _ = np.linalg.lstsq(matrix, y)
    variance = squares / (32 - 9)
    errors = np.sqrt(variance * np.diag(np.linalg.inv(matrix.T @ matrix)))
    found = choice.effects(Screen(values))
    np.testing.assert_allclose([e.mean for e in found], coefficients[1:])
    # 2.069: the 97.5 % quantile of Student's law with 23 degrees of freedom.
    np.testing.assert_allclose(
        [e.error for e in found], 2.0687 * errors[1:], rtol=1e-4
    )


def test_the_best_are_chosen_and_references_left_out():
    values, rate, switch = made_up(1, noise=0.0)
    best = choice.predicted_best(values)
    assert best.rate == max(rate, key=rate.get)
    assert set(best.switches) == {s for s, e in switch.items() if e > 0}
    reference = next(c for c in values if c.name == "sqrt_x2")
    values[reference] = 100.0
    ranked = sorted(values, key=values.get, reverse=True)
    picked = choice.chosen(Screen(values))
    assert picked[:2] == ranked[1:3]
    assert reference not in picked
    # Nothing is chosen of a screen that has not ended.
    screen = Screen(values)
    screen.manifest = {"seeds": [0, 1]}
    assert choice.chosen(screen) == choice.effects(screen) == []
