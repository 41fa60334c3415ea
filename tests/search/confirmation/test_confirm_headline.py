"""Whether tuning helped: what is said agrees with the numbers."""

import dataclasses

import pytest

from keras_lbreg.experiments.results import read_results
from keras_lbreg.search.confirmation.confirm_headline import confirm_headline
from tests.experiments.fake_results import LARGE, SCALED, SMALL, write_results
from tests.search.fake_confirmation import ARMS, TUNED, tuned


def said(folder, arms=ARMS, **how):
    return confirm_headline(read_results(write_results(folder, arms, **how)))


def test_a_gain_beyond_chance(tmp_path):
    text = said(tmp_path)
    assert text.startswith("Tuning helped. On 3 fresh seeds")
    assert "the winner ends at 96.0 ± 0.5 %" in text
    assert "5.0 points above the untuned large batch (more than chance)" in text
    assert "2.0 points above learning-rate scaling alone" in text
    assert "The small batch ends at 97.0 ± 1.0 %." in text
    assert "95 % t interval" in text


@pytest.mark.parametrize(
    ("final", "verdict", "words"),
    [
        (
            (0.90, 0.96, 0.89),
            "Tuning did not help by more than chance.",
            "0.7 points above the untuned large batch (within chance)",
        ),
        (
            (0.80, 0.81, 0.825),
            "Tuning did harm.",
            "9.8 points below the untuned large batch (more than chance)",
        ),
    ],
)
def test_no_gain(tmp_path, final, verdict, words):
    text = said(tmp_path, tuned(final=final))
    assert text.startswith(verdict)
    assert words in text


def test_no_better_than_scaling_alone(tmp_path):
    text = said(tmp_path, tuned(final=(0.94, 0.93, 0.955)))
    assert text.startswith("Tuning helped, but by no more than learning-rate")
    assert "points above learning-rate scaling alone (within chance)" in text


def test_worse_than_scaling_alone(tmp_path):
    text = said(tmp_path, tuned(final=(0.92, 0.93, 0.941)))
    assert text.startswith("Tuning helped, but learning-rate scaling alone")
    assert "points below learning-rate scaling alone (more than chance)" in text


def test_one_seed_proves_nothing(tmp_path):
    text = said(tmp_path, seeds=1)
    assert "cannot be told from one seed" in text
    assert "chance" not in text
    assert "±" not in text


def test_a_longer_winner_is_no_fair_comparison(tmp_path):
    text = said(tmp_path, tuned(epochs=640))
    assert "trains 32 times as many epochs" in text
    assert "equal cost" not in said(tmp_path / "equal")


def test_the_winner_failed(tmp_path):
    failed = [("tuned", seed) for seed in range(3)]
    assert "not confirmed" in said(tmp_path, failed=failed)


def test_a_seed_that_failed_is_left_out(tmp_path):
    text = said(tmp_path, failed=[("tuned", 2)])
    assert "On 2 fresh seeds" in text


def test_without_the_scaled_arm(tmp_path):
    arms = (SMALL, LARGE, dataclasses.replace(TUNED))
    assert SCALED.title not in said(tmp_path, arms)
