import types

import keras
import numpy as np
import pytest

import keras_lbreg
from keras_lbreg.data import load_dataset
from keras_lbreg.data.dataset import Dataset
from keras_lbreg.experiments import compare
from keras_lbreg.experiments.arms import BASELINE
from keras_lbreg.experiments.make_optimizer import make_optimizer
from keras_lbreg.experiments.networks.mobilenet_v2 import STAGES
from keras_lbreg.experiments.plan import make_plan
from keras_lbreg.experiments.results import EpochRecord, Results, RunResult
from keras_lbreg.models.apply_dreg import dreg_candidates
from recipes.yuan_2020 import growth, stability
from recipes.yuan_2020.arms import ARMS
from recipes.yuan_2020.configuration import (
    MOBILENET_POSITIONS,
    MOBILENET_V2,
    RESNET18,
    RESNET18_POSITIONS,
    VGG16,
)
from recipes.yuan_2020.lagging_statistics import compare_statistics
from recipes.yuan_2020.stability_page import measured_growth
from recipes.yuan_2020.statistics import beyond_chance, mean_gap, reached
from recipes.yuan_2020.study import STUDY

# The paper's axes, typed in once more: 2^10 * {2, 4, 6, 8, 10, 20, 30}.
BATCHES = [2048, 4096, 6144, 8192, 10240, 20480, 30720]
FIGURES = {
    "Fig. 2": ("cifar10", VGG16),
    "Fig. 3": ("cifar100", VGG16),
    "Fig. 4": ("cifar100", MOBILENET_V2),
    "Fig. 5": ("cifar100", RESNET18),
}
DIGITS = load_dataset("digits")


def of_figure(part):
    return [c for c in STUDY.comparisons if c.part == part]


def images(samples=4, classes=10):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (samples, 32, 32, 3)).astype("uint8")
    y = (np.arange(samples) % classes).astype("int32")
    return Dataset("made up", x, y, x, y, classes=classes)


@pytest.mark.parametrize("part", FIGURES)
def test_a_comparison_for_each_batch_size(part):
    dataset, recipe = FIGURES[part]
    found = of_figure(part)
    assert [c.batch_size for c in found] == BATCHES
    assert {c.dataset for c in found} == {dataset}
    assert all(c.recipe is recipe for c in found)
    assert {c.arms for c in found} == {ARMS}


def test_other_figures():
    first, second = of_figure("Fig. 6")
    assert len(first.arms) == 2 + 7
    assert len(second.arms) == 2 + 4
    [weights] = of_figure("Fig. 7")
    assert [
        arm.hyperparameters["dreg"]["weight"]
        for arm in weights.extra_arms
        if arm.hyperparameters
    ] == [0.001, 0.01, 0.1, 1.0]
    momenta = of_figure("Fig. 8")
    assert [c.recipe.momentum for c in momenta] == [0.0, 0.5, 0.9]
    assert {c.batch_size for c in momenta} == {30720}
    assert {
        arm.hyperparameters["dreg"]["weight"]
        for c in momenta
        for arm in c.extra_arms
        if arm.hyperparameters
    } == {0.01}


@pytest.mark.parametrize("comparison", STUDY.comparisons, ids=lambda c: c.name)
def test_every_comparison_has_its_control(comparison, tmp_path):
    experiment = comparison.experiment(tmp_path)
    assert {BASELINE, "doubled"} <= set(experiment.arms)
    assert set(experiment.arms) == set(comparison.arms)
    for arm in comparison.extra_arms:
        assert arm.learning_rate_factor == (2.0 if arm.name == "doubled" else 1)


def test_all_arms_but_the_control_have_one_learning_rate(tmp_path):
    comparison = STUDY.get("digits_batch_64")
    experiment = comparison.experiment(tmp_path)
    plans = {arm: make_plan(experiment, arm, DIGITS) for arm in ARMS}
    rates = {arm: p.regime.base_learning_rate for arm, p in plans.items()}
    assert rates.pop("doubled") == pytest.approx(0.04)
    assert set(rates.values()) == {0.02}
    assert {p.updates for p in plans.values()} == {40 * 16}
    dreg = {arm: p.techniques.get("dreg") for arm, p in plans.items()}
    assert dreg["dreg"]["distance"] == "frobenius"
    assert dreg["dreg"]["max_distance"] is None
    assert dreg["dreg"]["path_reduction"] == "sum"
    for arm, changed in (
        ("dreg_mean", {"path_reduction": "mean"}),
        ("dreg_split", {"paths": "split"}),
        ("dreg_relative", {"distance": "bounded"}),
    ):
        assert dreg[arm] == {**dreg["dreg"], **changed}


def test_positions_are_the_last_layers_of_the_stages():
    model = MOBILENET_V2.build_network(images())
    last = np.cumsum([blocks for _, _, blocks, _ in STAGES])
    assert tuple(f"block_{n}_depthwise" for n in last) == MOBILENET_POSITIONS
    found = dreg_candidates(model)
    for name in MOBILENET_POSITIONS:
        assert isinstance(found[name], keras.layers.DepthwiseConv2D)
    found = dreg_candidates(RESNET18.build_network(images()))
    assert set(RESNET18_POSITIONS) <= set(found)
    widths = [found[name].filters for name in RESNET18_POSITIONS]
    assert widths == [64, 128, 256, 512]


# JAX would compile every operation of these deep networks by itself.
@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("recipe", "layer", "kind"),
    [
        (VGG16, "conv_13", "DRegConv2D"),
        (MOBILENET_V2, "block_17_depthwise", "DRegDepthwiseConv2D"),
        (RESNET18, "stage_4_block_2_conv_2", "DRegConv2D"),
    ],
    ids=["vgg16", "mobilenet_v2", "resnet18"],
)
def test_one_step_of_each_network(recipe, layer, kind):
    keras.utils.set_random_seed(0)
    dataset = images()
    plain = recipe.build_network(dataset)
    assert recipe.dreg_layer == layer
    model = keras_lbreg.apply_dreg(
        plain, layer=recipe.dreg_layer, distance="frobenius", seed=0
    )
    twin = model.get_layer(layer)
    assert type(twin).__name__ == kind
    assert model.count_params() - plain.count_params() >= np.prod(
        twin.kernel.shape
    )
    model.compile(
        make_optimizer(recipe, recipe.learning_rate, steps_per_epoch=1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,
    )
    before = [keras.ops.convert_to_numpy(k) for k in stability.kernels(twin)]
    logs = model.train_on_batch(
        dataset.x_train, dataset.y_train, return_dict=True
    )
    assert np.isfinite(logs["loss"])
    after = stability.kernels(twin)
    # Two cross-entropies of 10 classes, and both kernels have learned.
    assert logs["loss"] > np.log(10)
    for old, new in zip(before, after, strict=True):
        assert np.abs(new - old).max() > 0
    stripped = keras_lbreg.strip_dreg(model)
    assert stripped.count_params() == plain.count_params()


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("weight", [1e-3, 0.1, 1.0])
def test_growth_is_the_largest_eigenvalue(weight, momentum):
    rate = 0.1
    gain = 4 * weight * rate
    # (D, V) after a step, from (D, V) before it.
    step = np.array([[1 + gain, momentum], [gain, momentum]])
    largest = np.abs(np.linalg.eigvals(step)).max()
    found = growth.growth_factor(weight, rate, momentum)
    assert found == pytest.approx(largest, rel=1e-12)
    state = np.array([2.0, 0.0])
    expected = [state[0]]
    for _ in range(30):
        state = step @ state
        expected.append(state[0])
    predicted = growth.predicted_distances(2.0, 30, weight, rate, momentum)
    np.testing.assert_allclose(predicted, expected, rtol=1e-12)


def test_growth_of_the_design():
    assert growth.growth_factor(0.1, 0.1, 0.9) == pytest.approx(1.172, abs=5e-4)
    assert growth.growth_factor(0.1, 0.1) == pytest.approx(1.04)
    # Without momentum it is a power: 1.04^n > 1e6 from n = ln 1e6 / ln 1.04.
    needed = int(np.ceil(np.log(1e6) / np.log(1.04)))
    assert growth.steps_until(1e6, 1.0, 0.1, 0.1) == needed
    largest = growth.LARGEST_DISTANCE
    assert largest**2 == pytest.approx(3.4028235e38, rel=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("level", [1.05, 10.0, growth.LARGEST_DISTANCE])
def test_steps_until_a_level_are_those_of_the_recursion(momentum, level):
    distances = growth.predicted_distances(0.5, 1500, 0.1, 0.1, momentum)
    found = growth.steps_until(level, 0.5, 0.1, 0.1, momentum)
    assert found == np.argmax(distances > level)


def test_the_largest_rate_is_finite_and_a_larger_one_is_not():
    rate = growth.largest_rate(200, 0.1, 0.1, 0.9)
    for factor, finite in ((0.99, True), (1.01, False)):
        found = growth.predicted_distances(0.1, 200, 0.1, factor * rate, 0.9)
        assert (found[-1] < growth.LARGEST_DISTANCE) == finite


@pytest.mark.parametrize("optimizer", ["sgd", "coupled_sgd"])
@pytest.mark.parametrize("distance", ["frobenius", "bounded"])
def test_growth_of_the_layer_under_real_optimizers(optimizer, distance):
    # The penalty alone, by the library's own layer and Keras's own SGD.
    keras.utils.set_random_seed(0)
    layer = keras_lbreg.DRegDense(
        6, weight=0.1, distance=distance, init_distance=1e-3, use_bias=False
    )
    layer.build((None, 5))
    recipe = types.SimpleNamespace(
        optimizer=optimizer,
        clip=None,
        weight_decay=0.0,
        reset_momentum=False,
        momentum=0.9,
    )
    inputs = keras.Input((5,))
    model = keras.Model(inputs, layer(inputs))
    model.compile(make_optimizer(recipe, 0.1, 1), lambda y, z: 0.0 * z)
    first = stability.distance(layer)
    expected = growth.predicted_distances(first, 12, 0.1, 0.1, 0.9)
    x = np.ones((2, 5), "float32")
    for step in range(1, 13):
        model.train_on_batch(x, np.zeros((2, 6), "float32"))
        now = stability.distance(layer)
        assert now == pytest.approx(expected[step], rel=2e-3)


def test_moving_statistics_behind_a_growing_kernel():
    factor, momentum = 1.2, 0.9
    moving, true = 1.0, 1.0
    for _ in range(300):
        moving = momentum * moving + (1 - momentum) * true
        true *= factor**2
    expected = growth.lagging_variance(factor, momentum)
    assert moving / true == pytest.approx(expected, rel=1e-9)
    assert growth.lagging_variance(1.0) == pytest.approx(1.0)


def test_moving_statistics_of_a_short_run():
    found = compare_statistics(0.01, 512, epochs=1, seed=0)
    assert 0 <= found["accuracy"] <= 1
    assert 0 <= found["accuracy_afterwards"] <= 1
    # Two steps after the start of 1 the statistics are far from the truth.
    assert found["ratio"] != pytest.approx(1, abs=1e-3)


def test_a_trace_begins_slightly_distinct_and_is_measured():
    setting = stability.Setting("frobenius", None, 0.1, 0.1, 0.9)
    assert setting in stability.SETTINGS
    run = stability.trace(setting, seed=0, steps=4)
    assert run["step"] == [0, 1, 2, 3, 4]
    assert run["exploded"] is None
    # ||W_L - W_R|| = .01 ||W_R||, and the two are about equally large.
    half = np.sqrt(run["size"] / 2)
    assert run["distance"][0] == pytest.approx(0.01 * half, rel=0.02)
    steps = list(range(100))
    made_up = {**run, "step": steps, "distance": [1.1**n for n in steps]}
    assert measured_growth(setting, made_up) == pytest.approx(1.1)


def test_a_trace_ends_where_the_loss_is_infinite():
    # λ = 1e30 drives the kernels beyond float32 within a few steps.
    setting = stability.Setting("frobenius", None, 1e30, 0.1, 0.9)
    run = stability.trace(setting, seed=0, steps=5)
    assert run["exploded"] == 2
    assert run["step"][-1] == 1


def records(arm, seed, accuracies):
    return RunResult(
        arm,
        seed,
        "finished",
        None,
        tuple(
            EpochRecord(arm, seed, epoch, 0, 0, 0, 0, 0, 0, 0, accuracy, 0)
            for epoch, accuracy in enumerate(accuracies, 1)
        ),
    )


def test_statistics_of_the_paper_by_pairs_of_seeds(tmp_path):
    curves = {
        BASELINE: ([0.1, 0.5, 0.4], [0.2, 0.3, 0.6]),
        "dreg": ([0.5, 0.4, 0.4], [0.3, 0.4, 0.5]),
    }
    runs = [
        records(arm, seed, accuracies)
        for arm, both in curves.items()
        for seed, accuracies in enumerate(both)
    ]
    results = Results(tmp_path, {}, tuple(runs))
    table = {arm: 100 * np.array(both) for arm, both in curves.items()}
    gaps = (table["dreg"] - table[BASELINE]).mean(axis=1)
    found = mean_gap(results, "dreg")
    assert found.mean == pytest.approx(gaps.mean())
    assert found.std == pytest.approx(gaps.std(ddof=1))
    assert mean_gap(results, BASELINE, "dreg").mean == pytest.approx(
        -gaps.mean()
    )
    # Seed 0 has the baseline's best, .5, in epoch 1; seed 1 never has its .6.
    when = reached(results, "dreg")
    assert (when.epochs.mean, when.count, when.runs) == (1, 1, 2)
    assert reached(results, BASELINE).epochs.mean == 2.5


def test_a_clear_loss_is_beyond_chance_too():
    from scipy.stats import ttest_1samp

    from keras_lbreg.experiments.statistics import Stat

    for values in ([-3.0, -2.9, -3.2], [0.1, -0.2, 0.15], [1.0, 1.1, 0.9]):
        expected = ttest_1samp(values, 0).pvalue < 0.05
        assert beyond_chance(Stat.of(values)) == expected


def test_an_epoch_of_split_paths_runs_as_the_command_line_does(tmp_path):
    comparison = STUDY.get("digits_batch_512")
    experiment = comparison.experiment(
        tmp_path, seeds=1, epochs=1, arms=("dreg_split",)
    )
    [run] = compare(experiment).runs
    assert run.status == "finished"
    name = f"dreg_distance/{comparison.recipe.dreg_layer}"
    assert run.epochs[-1].extras[name] > 0
