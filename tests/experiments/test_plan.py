import pytest

from keras_lbreg.data import load_dataset
from keras_lbreg.data.hold_out import hold_out
from keras_lbreg.experiments import (
    Arm,
    Experiment,
    arm_names,
    standard_arms,
)
from keras_lbreg.experiments.plan import make_plan, recording_interval
from keras_lbreg.techniques import TECHNIQUES

DIGITS = load_dataset("digits")


def plan(arm, **kwargs):
    return make_plan(Experiment("digits", **kwargs), arm, DIGITS)


def test_small_batch_is_the_recipe():
    small = plan("small_batch")
    assert (small.batch_size, small.epochs) == (16, 20)
    assert small.updates == 20 * 64
    assert small.samples == 20 * 1024
    assert small.regime.base_learning_rate == 0.02
    assert small.regime.milestones[0] == (10, pytest.approx(0.002))
    assert small.regime.milestones[1] == (15, pytest.approx(0.0002))
    assert small.changes() == []


def test_large_batch_changes_the_batch_alone():
    large = plan("large_batch")
    assert large.batch_size == 512
    assert large.regime.base_learning_rate == 0.02
    assert large.updates == 40
    assert large.changes() == ["batch size 16 -> 512 (x32)"]


def test_learning_rate_is_scaled_and_doubled():
    rate = 0.02 * 32**0.5
    assert plan("lr").regime.base_learning_rate == pytest.approx(rate)
    double = plan("lr_doubled").regime
    assert double.base_learning_rate == pytest.approx(2 * rate)
    assert double.milestones[0][1] == pytest.approx(0.2 * rate)
    assert "(control)" in double.changes[-1]


def test_regime_adaptation_has_the_small_batch_s_updates():
    adapted = plan("lr_gbn_ra")
    assert adapted.epochs == 640
    assert adapted.updates == plan("small_batch").updates
    assert adapted.epochs / adapted.record_every >= 40
    assert adapted.epochs % adapted.record_every == 0


def test_hyperparameters_default_recipe_experiment():
    assert plan("lr_gbn").techniques["ghost_batch_norm"] == {
        "ghost_batch_size": 16,
        "statistics": "sequential",
    }
    given = {"ghost_batch_norm": {"ghost_batch_size": 64}}
    mine = plan("lr_gbn", hyperparameters=given)
    assert mine.techniques["ghost_batch_norm"]["ghost_batch_size"] == 64
    assert "ghost_batch_size=64" in mine.changes()[-1]


def test_settings_of_an_arm_are_the_strongest():
    mine = Arm(
        "mine",
        "Mine",
        "tuned",
        techniques=("lr_scaling", "ghost_batch_norm"),
        learning_rate_factor=1.5,
        hyperparameters={"ghost_batch_norm": {"ghost_batch_size": 32}},
    )
    given = {"ghost_batch_norm": {"ghost_batch_size": 64, "statistics": "mean"}}
    made = plan("mine", extra_arms=(mine,), hyperparameters=given)
    assert made.techniques["ghost_batch_norm"] == {
        "ghost_batch_size": 32,
        "statistics": "mean",
    }
    rate = 1.5 * 0.02 * 32**0.5
    assert made.regime.base_learning_rate == pytest.approx(rate)
    assert "learning rate 0.1131 -> 0.1697 (x1.5)" in made.changes()


def test_settings_of_an_arm_are_tried_before_the_runs():
    wild = Arm(
        "wild",
        "Wild",
        "tuned",
        techniques=("gradient_noise",),
        hyperparameters={"gradient_noise": {"alpha": -1}},
    )
    with pytest.raises(ValueError, match=r"`alpha`.*finite number >= 0"):
        plan("wild", extra_arms=(wild,))


@pytest.mark.parametrize(
    ("technique", "name", "value", "message"),
    [
        ("gradient_noise", "alpha", -1, "`alpha`.*finite number >= 0"),
        ("gradient_noise", "alpha", {1, 2}, r"`gradient_noise\.alpha`"),
        ("lr_scaling", "warmup_epochs", "abc", "a number.*'abc'"),
        ("lr_scaling", "warmup_epochs", -1, "`warmup_epochs`"),
        ("lr_scaling", "rule", "cubic", "cubic"),
        ("lr_scaling", "rule", 2, "a word"),
        ("dreg", "weight", True, "a number"),
        ("dreg", "weight", -1.0, "weight"),
        ("dreg", "distance", "far", "far"),
        ("dreg", "max_distance", "abc", "a number or None"),
        ("dreg", "path_reduction", "product", "product"),
        ("dreg", "paths", "all", "all"),
        ("ghost_batch_norm", "ghost_batch_size", 0, "above 0"),
        ("ghost_batch_norm", "statistics", "none", "statistics"),
        ("gradient_mix", "groups", 2.5, "above 0"),
        ("gradient_mix", "concentration", 0, "concentration"),
        ("group_noise", "stddev", -1, "stddev"),
    ],
)
def test_settings_are_tried_before_the_runs(technique, name, value, message):
    arm = next(a for a in standard_arms() if technique in a.techniques)
    with pytest.raises(ValueError, match=message) as raised:
        plan(arm.name, hyperparameters={technique: {name: value}})
    for part in ("Invalid value", "Expected", "Received"):
        assert part in str(raised.value)


def test_every_setting_of_the_register_is_accepted():
    given = {t.name: dict(t.defaults) for t in TECHNIQUES if t.defaults}
    for arm in arm_names():
        assert plan(arm, hyperparameters=given).techniques.keys() <= {
            *given,
            "regime_adaptation",
        }


@pytest.mark.parametrize("epochs", [1, 2, 3, 5])
def test_short_runs_keep_what_milestones_they_can(epochs):
    for arm in arm_names():
        assert plan(arm, epochs=epochs).epochs >= epochs


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"batch_size": 2048}, "training samples, 1024.*batch_size=2048"),
        ({"batch_size": 16}, "more than the small batch size, 16"),
        ({"small_batch_size": 600}, "more than the small batch size, 600"),
    ],
)
def test_sizes_that_do_not_fit(sizes, message):
    with pytest.raises(ValueError, match=message):
        plan("lr", **sizes)


@pytest.mark.parametrize(
    ("epochs", "interval"),
    [(1, 1), (20, 1), (79, 1), (80, 2), (640, 16), (641, 1), (1600, 40)],
)
def test_recording_interval(epochs, interval):
    assert recording_interval(epochs) == interval


def test_held_out_samples_leave_the_number_of_updates():
    whole = load_dataset("digits")
    part = hold_out(whole, 0.2)
    with_all = make_plan(Experiment("digits"), "lr", whole)
    with_part = make_plan(Experiment("digits", holdout=0.2), "lr", part)
    assert len(part.x_train) // with_all.batch_size == 1
    assert with_part.steps_per_epoch == with_all.steps_per_epoch == 2
    assert with_part.updates == with_all.updates
