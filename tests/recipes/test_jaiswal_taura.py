"""The recipe of Jaiswal and Taura against what their paper says."""

import dataclasses
import math

import keras
import numpy as np
import pytest

from keras_lbreg.data import load_dataset
from keras_lbreg.data.dataset import Dataset
from keras_lbreg.data.npz import save_npz
from keras_lbreg.experiments import compare
from keras_lbreg.experiments.plan import make_plan
from keras_lbreg.experiments.statistics import Stat
from recipes.jaiswal_taura import figures, noise_tables, tables
from recipes.jaiswal_taura.configuration import (
    DIGITS,
    FAMILIES,
    FULL,
    PX64,
    PX104,
    SWEEP,
)
from recipes.jaiswal_taura.interpolation import measure_interpolation
from recipes.jaiswal_taura.minibatch_noise import minibatch_noise
from recipes.jaiswal_taura.noise_size import (
    POINTS,
    Point,
    added_noise,
    matching_alpha,
    measure_noise_size,
)
from recipes.jaiswal_taura.records import verdict
from recipes.jaiswal_taura.study import STUDY
from recipes.study.page import render_page
from tests.data.test_datasets import REAL, needs

# The paper: eta = .01 at batch 32; it falls at epoch 25, 40 and every tenth
# that follows, "by 10 %".
RATES = {
    "x01": {0: 1e-2, 25: 1e-3, 40: 1e-4, 50: 1e-5, 60: 1e-6},
    "x09": {0: 0.01, 25: 0.009, 40: 0.0081, 50: 0.00729, 60: 0.006561},
}


def made_up(side, train=128, val=4, channels=3):
    generator = np.random.default_rng(0)

    def images(count):
        shape = (count, side, side, channels)
        return generator.integers(0, 256, shape, "uint8")

    return Dataset(
        "made_up",
        images(train),
        np.arange(train) % 102,
        images(val),
        np.arange(val) % 102,
        classes=102,
    )


def stand_in(dataset):
    """A network in place of the paper's, of 104 parameters for each class."""
    mean, variance = dataset.moments()
    return keras.Sequential(
        [
            keras.Input(dataset.input_shape, dtype="uint8"),
            keras.layers.Normalization(mean=mean, variance=variance),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(dataset.classes),
        ]
    )


def plan_of(comparison, arm, dataset):
    recipe = dataclasses.replace(comparison.recipe, network=stand_in)
    comparison = dataclasses.replace(comparison, recipe=recipe)
    experiment = comparison.experiment("unused")
    return make_plan(experiment, arm, recipe.prepare(dataset))


@pytest.mark.parametrize("reading", RATES)
@pytest.mark.parametrize(
    ("batch", "arm", "rate"),
    [
        (128, "small_batch", 0.01),
        (64, "lr", 0.02),
        (64, "lr_noise", 0.02),
        (128, "lr", 0.04),
        (128, "lr_noise", 0.04),
    ],
)
def test_learning_rates_are_those_of_the_paper(reading, batch, arm, rate):
    plan = plan_of(FULL.comparison(batch, reading), arm, made_up(256))
    assert plan.batch_size == (32 if arm == "small_batch" else batch)
    assert plan.epochs == 70
    table = RATES[reading]
    schedule = plan.regime.to_schedule(plan.steps_per_epoch)
    for epoch in range(70):
        expected = table[max(e for e in table if e <= epoch)] * rate / 0.01
        for step in (0, plan.steps_per_epoch - 1):
            found = float(schedule(epoch * plan.steps_per_epoch + step))
            assert found == pytest.approx(expected, rel=1e-5), epoch


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_only_the_noise_differs_between_the_columns(family):
    for batch in family.batches:
        comparison = family.comparison(batch, "x01")
        experiment = comparison.experiment("unused")
        arms = [experiment.get_arm(name) for name in ("lr", "lr_noise")]
        assert arms[0].techniques == ("lr_scaling",)
        assert arms[1].techniques == ("lr_scaling", "gradient_noise")
        recipe = comparison.recipe
        assert recipe.hyperparameters == {
            "lr_scaling": {"rule": "linear"},
            "gradient_noise": {"alpha": 1e-5, "gamma": 0.55},
        }
        assert (recipe.optimizer, recipe.momentum) == ("sgd", 0.9)
        assert (recipe.weight_decay, recipe.clip) == (0.0, None)


def test_short_versions_drop_at_the_same_shares():
    plan = plan_of(PX64.comparison(128, "x01"), "lr", made_up(64))
    assert [epoch for epoch, _ in plan.regime.milestones] == [10, 16, 20, 24]


def test_as_many_updates_stretches_everything_by_the_batches_ratio():
    plan = plan_of(PX104.comparison(128, "x01"), "lr_ra", made_up(104))
    small = plan_of(PX104.comparison(128, "x01"), "small_batch", made_up(104))
    assert plan.updates == small.updates
    assert [e for e, _ in plan.regime.milestones] == [100, 160, 200, 240]


def test_the_sweep_goes_over_the_decades():
    assert list(SWEEP) == [1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]
    for alpha, arm in SWEEP.items():
        assert arm.hyperparameters["gradient_noise"]["alpha"] == alpha
    names = {arm.name for arm in SWEEP.values()}
    assert names < set(FULL.sweep().arms)


@pytest.mark.parametrize(
    ("family", "seen"), [(FULL, 224), (PX104, 92), (PX64, 56)]
)
def test_networks_see_random_crops_of_pixels_from_0_to_1(family, seen):
    recipe = family.recipe("x01")
    dataset = recipe.prepare(made_up(family.stored[0]))
    assert dataset.input_shape == (seen, seen, 3)
    white = np.full((1, seen, seen, 3), 255, "uint8")
    mean, variance = dataset.moments()
    normalize = keras.layers.Normalization(mean=mean, variance=variance)
    np.testing.assert_allclose(normalize(white), 1.0, rtol=1e-6)
    assert family.crop[0] / family.stored[0] == pytest.approx(
        224 / 256, abs=0.011
    )


def test_the_network_is_resnet50():
    recipe = PX104.recipe("x01")
    model = recipe.build_network(recipe.prepare(made_up(104, 2)))
    assert model.input_shape == (None, 92, 92, 3)
    count = sum(math.prod(v.shape) for v in model.trainable_variables)
    # He et al.'s 25.6 million less 898 of their 1,000 classes.
    published = keras.applications.ResNet50(weights=None, classes=102)
    assert count == sum(
        math.prod(v.shape) for v in published.trainable_variables
    )


def test_a_step_of_every_arm_at_104_pixels(tmp_path):
    save_npz(made_up(104), tmp_path / "made_up.npz")
    comparison = PX104.comparison(128, "x09")
    recipe = dataclasses.replace(comparison.recipe, network=stand_in)
    comparison = dataclasses.replace(comparison, recipe=recipe)
    experiment = comparison.experiment(
        tmp_path / "results",
        seeds=1,
        epochs=1,
        dataset=str(tmp_path / "made_up.npz"),
    )
    results = compare(experiment)
    updates = {run.arm: run.updates for run in results.runs}
    assert updates == {"small_batch": 4, "lr": 1, "lr_noise": 1, "lr_ra": 4}
    assert {run.status for run in results.runs} == {"finished"}
    assert results.manifest["config"]["augmentation"] == (
        "random crop 92x92, horizontal flip"
    )


def test_sizes_of_noise():
    # What is added at the matching alpha is what is missing.
    alpha = matching_alpha(0.25, 0.1, parameters=1000, updates=99)
    assert added_noise(1000, 99, alpha) == pytest.approx(0.25 - 0.1)
    draws = np.random.default_rng(0).normal(0, 1e-5**0.5, (200, 1000))
    assert added_noise(1000, 0) == pytest.approx(
        np.mean(np.sum(draws**2, axis=1)), rel=0.02
    )


def test_noise_of_a_linear_model_is_that_of_sampling_theory():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(400, 3)).astype("float32")
    y = generator.normal(size=(400, 1)).astype("float32")
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(1, use_bias=False)]
    )
    model.compile(loss="mse")
    w = np.asarray(model.trainable_variables[0], "float64")
    gradients = 2 * (x @ w - y) * x
    # Without replacement: S / B (N - B) / (N - 1).
    expected = gradients.var(axis=0).sum() / 40 * 360 / 399
    noise, signal = minibatch_noise(model, x, y, 40, batches=3000)
    assert noise == pytest.approx(expected, rel=0.05)
    assert signal == pytest.approx(
        np.sum(gradients.mean(axis=0) ** 2), rel=0.05
    )
    with pytest.raises(ValueError, match="Expected at most the number"):
        minibatch_noise(model, x, y, 401)


def test_noise_is_that_of_training_with_batch_statistics():
    # All samples of a batch normalize to zero where a batch is one sample
    # twice: no gradient, and no noise, but for the moving statistics.
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.BatchNormalization(center=False),
            keras.layers.Dense(1, use_bias=False),
        ]
    )
    model.compile(loss="mse")
    x = np.ones((8, 2), "float32")
    y = np.arange(8, dtype="float32")[:, None]
    noise, signal = minibatch_noise(model, x, y, 2, batches=4)
    assert (noise, signal) == (0.0, 0.0)


@pytest.mark.tensorflow
def test_measurements_at_tiny_scale(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny = dataclasses.replace(
        DIGITS, name="tiny", epochs=2, batches=(128,), swept=128
    )
    done = []
    line = measure_interpolation(
        tiny,
        {"seeds": 1, "data_dir": None},
        lambda part, total: done.append((part, total)),
    )
    assert done[-1] == (25, 25)
    assert line["positions"][8] == 0.0
    assert np.all(np.isfinite(line["lines"][0]["loss"]["val"]))
    point = Point(tiny.comparison(128, "x01"), 128, 32, epochs=1)
    monkeypatch.setitem(POINTS, "tiny", (lambda: [point], 1))
    settings = {"seeds": None, "data_dir": None}
    [row] = measure_noise_size("tiny", settings, lambda *_: None)["rows"]
    assert row["updates"] == 8
    assert row["parameters"] == 144 + 32 + 4608 + 64 + 330
    assert row["added_noise"] == pytest.approx(5178e-5 / 9**0.55)
    assert row["small_noise"] > row["own_noise"] > 0

    monkeypatch.setattr(
        type(STUDY), "measured", lambda *_: {"measured": line}, raising=True
    )
    figure = figures.plot_interpolation(STUDY, tiny)
    assert len(figure.axes) == 2


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.1, 0.11, 0.12], "better"),
        ([-0.1, -0.11, -0.12], "worse"),
        ([-0.1, 0.1, 0.0], "no more than chance"),
        ([0.1], "cannot be told"),
    ],
)
def test_verdicts(values, words):
    assert verdict(Stat.of(values)) == words


def test_the_noise_scales_statistics_are_compared_at_batches_of_32(
    monkeypatch,
):
    def row(batch, small, epoch, noise):
        return {
            "batch": batch,
            "small_batch": small,
            "epoch": epoch,
            "small_noise": 3.0,
            "noise_by_statistics": {
                "batch": noise / batch,
                "estimate": 10 * noise / batch,
                "moving": 200 * noise / batch,
            },
        }

    # A batch of 32 of samples with a noise of 96 has a noise of 3.
    rows = [row(64, 32, 1, 96.0), row(256, 32, 1, 48.0), row(64, 128, 1, 1.0)]
    old = {"batch": 64, "small_batch": 32, "epoch": 1, "small_noise": 3.0}
    monkeypatch.setattr(
        type(STUDY),
        "measured",
        lambda _, name: (
            {"measured": {"title": "tiny", "rows": [*rows, old]}}
            if name == "noise_size_digits"
            else None
        ),
    )
    table = noise_tables.noise_statistics_table(STUDY)
    assert table.splitlines()[2:] == [
        "| tiny | 1 | 0.5 to 1 | 5 to 10 | 100 to 200 |"
    ]


def test_the_page_is_that_of_the_results():
    page = (STUDY.folder / "README.md").read_text("utf-8")
    assert page == render_page(STUDY)


def test_unrun_versions_have_no_figure_and_empty_cells(tmp_path):
    empty = dataclasses.replace(STUDY, folder=tmp_path)
    assert all(draw(empty) is None for draw in STUDY.figures.values())
    rows = tables.table_2(empty).splitlines()[2:]
    assert [row.split(" | ")[2] for row in rows] == [
        "74.45",
        "70.29",
        "72.07",
        "67.86",
        "71.01",
    ]
    assert all(row.count("–") == 4 for row in rows)
    for table in STUDY.tables.values():
        table(empty)


@pytest.mark.parametrize(
    "name", [pytest.param("caltech101_3to1", marks=needs("caltech101_3to1"))]
)
def test_the_split_has_the_papers_sizes(name):
    assert {family.dataset for family in (FULL, PX104, PX64)} == {name}
    dataset = load_dataset(name, REAL, (32, 32))
    assert (len(dataset.x_train), len(dataset.x_val)) == (6903, 2241)
    assert dataset.classes == 102
