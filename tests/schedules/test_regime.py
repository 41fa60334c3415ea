"""Training regimes: the papers' tables, and what scaling makes of them."""

import json

import keras
import numpy as np
import pytest

import keras_lbreg
from keras_lbreg import Regime

# Hoffer et al. 2017, at batch 128: first rate, then rate by first epoch.
TABLES = {
    "f1": Regime(128, 0.1, 50, {10: 0.01, 20: 1e-3, 30: 1e-4}),
    "c1": Regime(128, 1e-3, 200, {60: 1e-2, 120: 1e-3, 180: 1e-4}),
    "resnet44": Regime(128, 0.1, 100, {81: 0.01, 122: 1e-3, 164: 1e-4}),
    "wresnet16_4": Regime(128, 0.1, 100, {60: 0.02, 120: 0.004, 140: 1e-4}),
    "alexnet": Regime(128, 0.01, 30, {10: 5e-3, 15: 1e-3, 20: 5e-4, 25: 1e-4}),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("steps_per_epoch", [1, 390])
def test_schedule_is_the_table_to_the_update(name, steps_per_epoch):
    regime = TABLES[name]
    schedule = regime.to_schedule(steps_per_epoch)
    before = regime.base_learning_rate
    assert regime.learning_rate_at(0) == before
    assert float(schedule(0)) == np.float32(before)
    for epoch, rate in regime.milestones:
        assert regime.learning_rate_at(epoch - 1) == before
        assert regime.learning_rate_at(epoch) == rate
        first = epoch * steps_per_epoch
        assert float(schedule(first - 1)) == np.float32(before)
        assert float(schedule(first)) == np.float32(rate)
        before = rate
    assert float(schedule(10**6)) == np.float32(before)


def test_constant_rate():
    schedule = Regime(128, 0.1, 5).to_schedule(3)
    assert [float(schedule(t)) for t in (0, 2, 3, 100)] == [np.float32(0.1)] * 4


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(("batch_size", "times"), [(2048, 16), (4096, 32)])
def test_stretching_keeps_the_number_of_updates(name, batch_size, times):
    small = TABLES[name]
    large = small.scaled(batch_size, stretch=True, verbose=False)
    assert large.epochs == small.epochs * times
    samples = 4096 * 12
    assert large.updates(samples) == small.updates(samples)
    for (e_small, r_small), (e_large, r_large) in zip(
        small.milestones, large.milestones, strict=True
    ):
        # As many updates before every drop of the rate.
        assert e_large * samples // batch_size == e_small * samples // 128
        assert r_large == pytest.approx(r_small * times**0.5)


def test_updates_differ_by_partial_batches_only():
    small = TABLES["f1"]
    large = small.scaled(4096, stretch=True, verbose=False)
    assert small.updates(50_000) == 50 * 391
    assert large.updates(50_000) == 1600 * 13
    # Both see the same samples; each epoch rounds up to whole batches.
    assert 0 <= large.updates(50_000) - 50 * 50_000 / 128 < large.epochs


def test_fractional_stretch_rounds_each_boundary_not_each_period():
    # Periods of one epoch at 2.5: boundaries 2.5, 5, 7.5, 10 round half up.
    small = Regime(2, 0.1, 4, {1: 0.09, 2: 0.08, 3: 0.07})
    large = small.scaled(5, rule=None, stretch=True, verbose=False)
    assert [epoch for epoch, _ in large.milestones] == [3, 5, 8]
    assert large.epochs == 10
    # 7 * 3 / 2 = 10.5 is exact in integers, whatever floats make of it.
    shorter = Regime(2, 0.1, 7).scaled(3, stretch=True, verbose=False)
    assert shorter.epochs == 11


def test_stretching_to_a_smaller_batch_shortens():
    large = TABLES["f1"].scaled(4096, stretch=True, verbose=False)
    again = large.scaled(128, stretch=True, verbose=False)
    assert [e for e, _ in again.milestones] == [10, 20, 30]
    assert again.epochs == 50
    assert again.base_learning_rate == pytest.approx(0.1)


def test_a_period_that_would_vanish_is_refused():
    with pytest.raises(ValueError, match=r"every period.*\[0, 0, 1, 1\]"):
        TABLES["f1"].scaled(4, stretch=True, verbose=False)
    with pytest.raises(ValueError, match="every period"):
        Regime(100, 0.1, 1).scaled(10, stretch=True, verbose=False)


@pytest.mark.parametrize(
    ("rule", "factor"), [("sqrt", 4.0), ("linear", 16.0), (None, 1.0)]
)
def test_rule_multiplies_every_rate(rule, factor):
    large = TABLES["c1"].scaled(2048, rule=rule, verbose=False)
    assert large.base_batch_size == 2048
    assert large.epochs == 200
    for epoch in (0, 60, 120, 180):
        assert large.learning_rate_at(epoch) == pytest.approx(
            factor * TABLES["c1"].learning_rate_at(epoch)
        )


@pytest.mark.parametrize(("decay", "second"), [(0.1, 1e-4), (0.9, 0.0081)])
def test_decay_by_a_factor_both_readings_of_caltech(decay, second):
    regime = Regime.with_step_decay(
        32, 0.01, epochs=80, factor=decay, at=(25, 40), then_every=10
    )
    assert [e for e, _ in regime.milestones] == [25, 40, 50, 60, 70]
    assert regime.learning_rate_at(24) == 0.01
    assert regime.learning_rate_at(49) == pytest.approx(second)
    assert regime.learning_rate_at(79) == pytest.approx(0.01 * decay**5)
    large = regime.scaled(128, rule="linear", verbose=False)
    assert large.learning_rate_at(40) == pytest.approx(4 * second)


def test_goyals_regime_warms_up_from_the_small_rate():
    goyal = Regime.with_step_decay(
        256, 0.1, epochs=90, factor=0.1, at=(30, 60, 80)
    )
    large = goyal.scaled(8192, "linear", warmup_epochs=5, verbose=False)
    schedule = large.to_schedule(steps_per_epoch=156)
    steps = 5 * 156
    assert float(schedule(0)) == pytest.approx(0.1 + 3.1 / steps, rel=1e-5)
    assert float(schedule(steps // 2 - 1)) == pytest.approx(1.65, rel=1e-5)
    assert float(schedule(steps - 1)) == np.float32(3.2)
    # The warm-up does not delay the milestones.
    assert float(schedule(30 * 156 - 1)) == np.float32(3.2)
    assert float(schedule(30 * 156)) == pytest.approx(0.32)


def test_warm_up_without_scaling_starts_from_zero():
    large = Regime(256, 0.1, 90).scaled(
        8192, rule=None, warmup_epochs=2, verbose=False
    )
    schedule = large.to_schedule(10)
    assert float(schedule(0)) == pytest.approx(0.1 / 20)
    assert float(schedule(20)) == np.float32(0.1)


def test_an_existing_warm_up_is_kept_or_its_end_is_printed():
    warm = Regime(32, 0.1, 10, warmup_epochs=2, warmup_start=0.5)
    kept = warm.scaled(64, verbose=False)
    assert (kept.warmup_epochs, kept.warmup_start) == (2, 0.5)
    assert not any("warm-up" in change for change in kept.changes)
    dropped = warm.scaled(64, warmup_epochs=0, verbose=False)
    assert dropped.warmup_epochs == 0
    assert "no warm-up any more" in dropped.summary()


def test_scaling_prints_what_it_changed(capsys):
    TABLES["f1"].scaled(4096, stretch=True, warmup_epochs=5)
    assert capsys.readouterr().out == (
        "batch size 128 -> 4096 (x32)\n"
        "learning rate 0.1 -> 0.5657 (sqrt rule, x5.657)\n"
        "epochs 50 -> 1600 (regime adaptation, x32)\n"
        "warm-up over 5 epochs from learning rate 0.1\n"
        "from epoch 0: learning rate 0.5657\n"
        "from epoch 320: learning rate 0.05657\n"
        "from epoch 640: learning rate 0.005657\n"
        "from epoch 960: learning rate 0.0005657\n"
        "until epoch 1600\n"
    )
    TABLES["f1"].scaled(4096, stretch=True, verbose=False)
    assert capsys.readouterr().out == ""


def test_summary_of_an_unscaled_regime_claims_no_change():
    same = TABLES["resnet44"].scaled(128, verbose=False)
    assert same == TABLES["resnet44"]
    assert same.summary() == (
        "from epoch 0: learning rate 0.1\n"
        "from epoch 81: learning rate 0.01\n"
        "from epoch 122: learning rate 0.001 (not reached)\n"
        "from epoch 164: learning rate 0.0001 (not reached)\n"
        "until epoch 100"
    )


DECAYING = {
    "cosine": Regime(64, 0.2, 10, decay="cosine", final_fraction=0.1),
    "linear": Regime(64, 0.2, 10, decay="linear", final_fraction=0.1),
    "schedule": Regime(
        64, keras.optimizers.schedules.CosineDecay(0.2, 1000, alpha=0.1), 10
    ),
    "table": Regime(
        64,
        keras.optimizers.schedules.PiecewiseConstantDecay(
            [499, 799], [0.2, 0.1, 0.05]
        ),
        10,
    ),
}


def expected_rate(name, part):
    if name == "table":
        return 0.2 if part < 0.5 else 0.1 if part < 0.8 else 0.05
    falls = 1 - part if name == "linear" else (1 + np.cos(np.pi * part)) / 2
    return 0.2 * (0.1 + 0.9 * falls)


@pytest.mark.parametrize("name", DECAYING)
def test_decay_from_update_to_update(name):
    regime = DECAYING[name]
    schedule = regime.to_schedule(steps_per_epoch=100)
    for step in (0, 1, 333, 499, 500, 800, 999):
        rate = expected_rate(name, step / 1000)
        np.testing.assert_allclose(float(schedule(step)), rate, rtol=1e-5)
        at = regime.learning_rate_at(step / 100, steps_per_epoch=100)
        np.testing.assert_allclose(at, rate, rtol=1e-5)


@pytest.mark.parametrize("stretch", [False, True])
@pytest.mark.parametrize("name", DECAYING)
def test_scaling_keeps_the_shape_of_the_decay(name, stretch):
    regime = DECAYING[name].scaled(
        256, "linear", stretch=stretch, verbose=False
    )
    regime = regime.with_rates_times(0.5)
    assert regime.epochs == (40 if stretch else 10)
    schedule = regime.to_schedule(steps_per_epoch=25)
    steps = 25 * regime.epochs
    for part in (0.0, 0.2, 0.48, 0.6, 0.88):
        np.testing.assert_allclose(
            float(schedule(round(part * steps))),
            4 * 0.5 * expected_rate(name, part),
            rtol=1e-5,
        )
    # Back again: nothing has piled up.
    back = regime.scaled(64, "linear", stretch=stretch, verbose=False)
    np.testing.assert_allclose(
        float(back.to_schedule(100)(300)),
        0.5 * expected_rate(name, 0.3),
        rtol=1e-5,
    )


def test_warm_up_over_a_decay():
    large = DECAYING["cosine"].scaled(
        256, "sqrt", warmup_epochs=2, verbose=False
    )
    schedule = large.to_schedule(25)
    rate = 2 * expected_rate("cosine", 24 / 250)
    factor = 0.5 + 0.5 * 25 / 50
    np.testing.assert_allclose(float(schedule(24)), factor * rate, rtol=1e-5)


@pytest.mark.parametrize(
    "base", [*DECAYING.values(), TABLES["alexnet"]], ids=[*DECAYING, "alexnet"]
)
def test_survives_json(base):
    regime = base.scaled(256, warmup_epochs=2.5, stretch=True, verbose=False)
    saved = json.dumps(keras.saving.serialize_keras_object(regime))
    loaded = keras.saving.deserialize_keras_object(json.loads(saved))
    assert loaded == regime
    assert hash(loaded) == hash(regime)
    assert loaded != base
    assert loaded.get_config() == regime.get_config()
    assert float(loaded.to_schedule(25)(70)) == float(
        regime.to_schedule(25)(70)
    )


@pytest.mark.parametrize(
    "arguments",
    [
        {"milestones": {3: 0.1}, "decay": "cosine"},
        {
            "base_learning_rate": DECAYING["table"].base_learning_rate,
            "decay": "linear",
        },
    ],
)
def test_two_kinds_of_decay_are_refused(arguments):
    with pytest.raises(ValueError, match="one of: milestones, a decay"):
        Regime(
            **{"base_learning_rate": 0.1, **arguments},
            base_batch_size=1,
            epochs=9,
        )


def test_summary_of_a_decay():
    summary = DECAYING["cosine"].scaled(256, verbose=False).summary()
    assert "learning rate 0.2 -> 0.4 (sqrt rule, x2)" in summary
    assert "from epoch 0: learning rate 0.4, cosine decay to 0.04" in summary
    summary = DECAYING["table"].scaled(256, verbose=False).summary()
    assert "2 x PiecewiseConstantDecay" in summary


def test_numpy_numbers_become_python_numbers():
    regime = Regime(
        np.int64(32), np.float32(0.5), np.int32(9), {np.int64(3): 1}
    )
    assert json.dumps(regime.get_config())
    assert regime == Regime(32, 0.5, 9, {3: 1.0})


def test_is_immutable():
    with pytest.raises(AttributeError):
        TABLES["f1"].epochs = 3


def test_trains_through_its_table():
    regime = Regime(4, 0.1, 4, {1: 0.01, 3: 0.001})
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(regime.to_schedule(2)), "mse")
    x = np.ones((8, 1), "float32")
    history = model.fit(
        x,
        x,
        batch_size=regime.base_batch_size,
        epochs=regime.epochs,
        verbose=0,
        callbacks=[keras_lbreg.LearningRateLogger()],
    )
    np.testing.assert_allclose(
        history.history["learning_rate"], [0.1, 0.01, 0.01, 0.001], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("base_batch_size", 0),
        ("base_batch_size", 12.5),
        ("base_learning_rate", -0.1),
        ("epochs", 0),
        ("epochs", 1.5),
        ("milestones", {0: 0.1}),
        ("milestones", {5: 0.1, 3: 0.01}),
        ("milestones", [(5, 0.1), (5, 0.01)]),
        ("milestones", {5: 0.0}),
        ("milestones", {2.5: 0.1}),
        ("warmup_epochs", -1),
        ("warmup_start", 1.0),
        ("decay", "exponential"),
        ("final_fraction", 1.0),
    ],
)
def test_invalid_arguments_are_named(name, value):
    arguments = {
        "base_batch_size": 32,
        "base_learning_rate": 0.1,
        "epochs": 10,
        name: value,
    }
    with pytest.raises(ValueError, match=f"argument `{name}`.*Expected"):
        Regime(**arguments)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda r: r.scaled(0), "batch_size"),
        (lambda r: r.scaled(64, rule="cubic"), "rule"),
        (lambda r: r.scaled(64, warmup_epochs=-1), "warmup_epochs"),
        (lambda r: r.to_schedule(0), "steps_per_epoch"),
        (lambda r: r.updates(0), "samples"),
        (lambda r: r.learning_rate_at(-1), "epoch"),
        (lambda r: r.with_step_decay(32, 0.1, 10, 0.0, (5,)), "factor"),
        (lambda r: r.with_step_decay(32, 0.1, 10, 0.1, (5, 4)), "milestones"),
        (lambda r: r.with_step_decay(32, 0.1, 10, 0.1, (5,), 0), "then_every"),
    ],
)
def test_invalid_arguments_of_methods_are_named(call, name):
    with pytest.raises(ValueError, match=f"argument `{name}`.*Expected"):
        call(TABLES["f1"])


def test_from_a_model():
    def compiled(optimizer):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile(optimizer, "mse")
        return model

    model = compiled(keras.optimizers.Adam(3e-3))
    assert Regime.from_model(model, 64, epochs=5) == Regime(64, 3e-3, epochs=5)
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 100)
    wrapped = keras_lbreg.GradientNoise(keras.optimizers.SGD(schedule))
    regime = Regime.from_model(compiled(wrapped), 64, epochs=5)
    assert regime.base_learning_rate is schedule
    with pytest.raises(ValueError, match="compiled"):
        Regime.from_model(keras.Sequential(), 64, epochs=5)


@pytest.mark.parametrize(
    ("epochs", "milestones"),
    [(8, ((4, 0.1), (6, 0.01))), (2, ((1, 0.1),)), (1, ())],
)
def test_other_epochs(epochs, milestones):
    regime = Regime(8, 1.0, 4, {2: 0.1, 3: 0.01}, warmup_epochs=1)
    other = regime.with_epochs(epochs)
    assert other.epochs == epochs
    assert other.milestones[: len(milestones)] == milestones
    assert other.warmup_epochs == epochs / 4
