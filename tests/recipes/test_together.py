"""The recipe of combinations: its design, its choice, one epoch of one."""

import dataclasses
import itertools

import numpy as np
import pytest

from keras_lbreg.data.load_dataset import load_dataset
from keras_lbreg.experiments import compare
from keras_lbreg.experiments.plan import make_plan
from keras_lbreg.experiments.statistics import Stat
from recipes.together import choice
from recipes.together.combination import (
    RATES,
    SWITCHES,
    Combination,
    all_combinations,
    combination_of,
)
from recipes.together.configuration import (
    DIGITS_PAIR,
    F1,
    F1_PAIR,
    IN_16_RUNS,
    IN_32_RUNS,
)
from recipes.together.design import fractional_factorial


def words(design, length):
    """Products of so many columns."""
    letters = sorted(design[0])
    return {
        word: np.prod([[run[x] for x in word] for run in design], axis=1)
        for word in map("".join, itertools.combinations(letters, length))
    }


def test_two_to_the_three_less_one_is_the_textbooks():
    # Box, Hunter and Hunter: C = AB.
    assert fractional_factorial("AB", {"C": "AB"}) == [
        {"A": -1, "B": -1, "C": 1},
        {"A": 1, "B": -1, "C": -1},
        {"A": -1, "B": 1, "C": -1},
        {"A": 1, "B": 1, "C": 1},
    ]


@pytest.mark.parametrize(
    ("design", "size", "words_of_four"),
    # Table 6.22: the defining words of length four of 2^(7-2) and 2^(7-3).
    [(IN_32_RUNS, 32, 1), (IN_16_RUNS, 16, 7)],
)
def test_designs_have_resolution_four(design, size, words_of_four):
    assert len(design) == size
    assert len({combination_of(run) for run in design}) == size
    for length in (1, 2, 3):
        for column in words(design, length).values():
            assert column.sum() == 0
    defining = [abs(c.sum()) == size for c in words(design, 4).values()]
    assert sum(defining) == words_of_four


def test_in_32_runs_only_pairs_of_techniques_are_mixed_up():
    pairs = words(IN_32_RUNS, 2)
    confounded = {
        frozenset((a, b))
        for a, b in itertools.combinations(pairs, 2)
        if abs(pairs[a] @ pairs[b]) == 32
    }
    assert confounded == {
        frozenset(("CE", "FG")),
        frozenset(("CF", "EG")),
        frozenset(("CG", "EF")),
    }


def test_every_level_is_met_with_every_other_equally_often():
    values = dict.fromkeys(map(combination_of, IN_16_RUNS), 0.0)
    masks = choice.level_masks(values)
    for one, other in itertools.combinations(masks, 2):
        counts = {
            int(np.sum(a & b))
            for a in masks[one].values()
            for b in masks[other].values()
        }
        assert len(counts) == 1


def test_there_are_128_combinations_with_names_of_their_own():
    names = {one.name for one in all_combinations()}
    assert len(names) == len(RATES) * 2 ** len(SWITCHES) == 128


def test_rates_go_from_one_rule_to_the_other():
    screen, _ = DIGITS_PAIR
    experiment = screen.experiment("unused")
    dataset = load_dataset("digits")
    rates = {}
    for run in IN_32_RUNS:
        one = combination_of(run)
        plan = make_plan(experiment, one.name, dataset)
        rates.setdefault(one.rate, set()).add(plan.regime.base_learning_rate)
        assert plan.epochs == 20
        assert plan.regime.warmup_epochs == 2 * ("warmup" in one.switches)
        assert set(plan.techniques) - {"lr_scaling"} == {
            SWITCHES[switch][1] for switch in one.switches
        } - {None}
        if "dreg" in plan.techniques:
            # Its sum of two losses would be a doubled learning rate.
            assert plan.techniques["dreg"]["path_reduction"] == "mean"
    base = screen.recipe.learning_rate
    expected = {
        "sqrt": base * 32**0.5,
        "sqrt_x2": base * 2 * 32**0.5,
        "linear_half": base * 16,
        "linear": base * 32,
    }
    for rate, found in rates.items():
        np.testing.assert_allclose(list(found), expected[rate])


@pytest.mark.parametrize("pair", [DIGITS_PAIR, F1_PAIR])
def test_what_is_confirmed_was_not_seen_when_it_was_chosen(pair):
    screen, confirmation = (part.experiment("unused") for part in pair)
    assert screen.holdout > 0
    assert confirmation.holdout == 0
    assert not set(screen.seed_range) & set(confirmation.seed_range)
    assert {"small_batch", "large_batch", "lr", "lr_doubled", "linear"} <= set(
        confirmation.arms
    )


def test_f1_is_shortened_with_the_drops_at_the_same_fractions():
    assert F1.epochs == 10
    assert [round(10 * share) for share, _ in F1.milestones] == [2, 4, 6]


def test_f1_trains_an_epoch_of_what_the_screen_tries(tmp_path):
    random = np.random.default_rng(0)
    file = tmp_path / "made_up.npz"
    np.savez(
        file,
        x_train=random.integers(256, size=(640, 28, 28, 1), dtype="uint8"),
        y_train=np.arange(640) % 10,
        x_val=random.integers(256, size=(50, 28, 28, 1), dtype="uint8"),
        y_val=np.arange(50) % 10,
    )
    screen, _ = F1_PAIR
    name = Combination("linear", ("warmup", "gbn", "noise", "dreg", "mix")).name
    experiment = screen.experiment(
        tmp_path / "out", epochs=1, arms=(name,), dataset=str(file)
    )
    experiment = dataclasses.replace(
        experiment, batch_size=512, small_batch_size=16
    )
    [run] = compare(experiment).runs
    assert run.status == "finished", run.reason
    assert run.epochs[-1].updates == 1


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
            final_val_accuracy = self.values[name]

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


def test_the_predicted_best_is_the_best_of_an_additive_truth():
    values, rate, switch = made_up(1, noise=0.0)
    best = choice.predicted_best(values)
    assert best.rate == max(rate, key=rate.get)
    assert set(best.switches) == {
        s for s, effect in switch.items() if effect > 0
    }


def test_the_best_are_chosen_and_references_left_out():
    values, _, _ = made_up(2, noise=0.5)
    reference = next(c for c in values if c.name == "sqrt_x2")
    values[reference] = 100.0
    ranked = sorted(values, key=values.get, reverse=True)
    picked = choice.chosen(Screen(values))
    assert picked[:2] == ranked[1:3]
    assert reference not in picked
    assert 2 <= len(picked) <= 3


def test_nothing_is_chosen_of_a_screen_that_has_not_ended():
    values, _, _ = made_up(3, noise=0.5)
    screen = Screen(values)
    screen.manifest = {"seeds": [0, 1]}
    assert choice.candidates(screen) == {}
    assert choice.chosen(screen) == []
    assert choice.effects(screen) == []


def test_a_failed_run_counts_with_its_last_accuracy():
    class Record:
        def __init__(self, accuracy):
            self.val_accuracy = accuracy

    class Failed:
        status = "failed"
        epochs = (Record(0.3), Record(0.2), Record(float("nan")))

    assert choice.last_accuracy(Failed) == 0.2
    Failed.epochs = ()
    assert choice.last_accuracy(Failed) == 0.0


def test_everything_at_once_trains_an_epoch(tmp_path):
    screen, _ = DIGITS_PAIR
    name = Combination("sqrt", tuple(SWITCHES)).name
    experiment = screen.experiment(tmp_path, seeds=1, epochs=1, arms=(name,))
    [run] = compare(experiment).runs
    assert run.status == "finished", run.reason
    assert choice.candidates(compare(experiment)) == {
        Combination("sqrt", tuple(SWITCHES)): Stat.of([run.final_val_accuracy])
    }
