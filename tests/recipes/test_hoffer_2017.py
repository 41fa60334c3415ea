"""Hoffer et al.'s networks and regimes, as FACTS of the paper have them."""

import keras
import numpy as np
import pytest

from keras_lbreg.data import Dataset
from keras_lbreg.experiments import build
from keras_lbreg.experiments.plan import make_plan
from recipes.hoffer_2017.configuration import HABITS, ROWS
from recipes.hoffer_2017.study import STUDY

SHAPES = {
    "mnist": ((28, 28, 1), 10),
    "cifar10": ((32, 32, 3), 10),
    "cifar100": ((32, 32, 3), 100),
    "imagenet2012": ((256, 256, 3), 1000),
    "digits": ((8, 8, 1), 10),
}
DEEP = ("resnet44", "vgg", "wresnet16_4", "alexnet_4096")
# Learning rate by epoch, weight decay, momentum, epochs: the paper's table of
# regimes at batch 128.
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


def made_up(comparison, samples=60_000):
    shape, classes = SHAPES[comparison.dataset]
    y = np.arange(samples) % classes
    x = np.broadcast_to(np.uint8(0), (samples, *shape))
    data = Dataset(comparison.dataset, x, y, x[:10], y[:10], classes)
    return comparison.recipe.prepare(data)


def plan(name, arm):
    comparison = STUDY.get(name)
    experiment = comparison.experiment("unused")
    return make_plan(experiment, arm, made_up(comparison))


@pytest.mark.parametrize("name", REGIMES)
def test_regime_of_the_small_batch(name):
    rates, decay, momentum, epochs = REGIMES[name]
    small = plan(name, "small_batch")
    assert small.batch_size == 128
    assert small.epochs == epochs
    trace = {
        0: small.regime.base_learning_rate,
        **dict(small.regime.milestones),
    }
    assert trace.keys() == rates.keys()
    for epoch, rate in rates.items():
        assert trace[epoch] == pytest.approx(rate)
    recipe = STUDY.get(name).recipe
    assert (recipe.weight_decay, recipe.momentum) == (decay, momentum)
    assert recipe.clip == 5.0


def test_regimes_of_the_large_batch():
    large = plan("f1", "large_batch").regime
    assert large.base_learning_rate == 0.1
    scaled = plan("f1", "lr").regime
    assert scaled.base_learning_rate == pytest.approx(0.1 * 32**0.5)
    adapted = plan("f1", "lr_gbn_ra")
    assert adapted.epochs == 32 * 50
    assert [e for e, _ in adapted.regime.milestones] == [320, 640, 960]
    assert adapted.updates == 1600 * (60_000 // 4096)
    assert plan("resnet44", "lr_gbn").techniques["ghost_batch_norm"] == {
        "ghost_batch_size": 256,
        "statistics": "sequential",
    }


@pytest.mark.parametrize(
    "name", [row.name for row in ROWS if row.name != "alexnet_8192"]
)
def test_network_takes_a_step(name):
    """Of the recipe's own model, optimizer and augmentation, on few images."""
    if keras.backend.backend() == "jax" and name in DEEP:
        pytest.skip("takes JAX a minute to compile; TensorFlow steps it")
    comparison = STUDY.get(name)
    shape, classes = SHAPES[comparison.dataset]
    generator = np.random.default_rng(0)
    x = generator.integers(0, 256, (8, *shape), "uint8")
    y = np.arange(8) % classes
    data = comparison.recipe.prepare(
        Dataset(comparison.dataset, x, y, x, y, classes)
    )
    experiment = comparison.experiment("unused")
    experiment = experiment.__class__(
        **{
            **vars(experiment),
            "small_batch_size": 4,
            "batch_size": 8,
            "hyperparameters": {"ghost_batch_norm": {"ghost_batch_size": 4}},
        }
    )
    arm = make_plan(experiment, "lr_gbn", data)
    model = build.build_model(arm, data, seed=0)
    # Without tracing: one step takes less than its compilation.
    model.run_eagerly = keras.backend.backend() == "tensorflow"
    before = [np.array(v) for v in model.trainable_variables]
    batch = next(iter(build.build_data(arm, data, seed=0)))
    loss = model.train_on_batch(*batch)
    assert np.isfinite(loss).all()
    assert any(
        (np.array(v) != b).any()
        for v, b in zip(model.trainable_variables, before, strict=True)
    )


def test_every_habit_changes_one_thing():
    whole = STUDY.get("f1").recipe.describe()
    for name in HABITS:
        other = STUDY.get(f"f1_{name}").recipe.describe()
        changed = {key for key in whole if whole[key] != other[key]}
        changed.discard("recipe")
        expected = {"keras_sgd": {"optimizer", "reset_momentum"}}
        assert len(changed) == 1 or changed == expected[name]
