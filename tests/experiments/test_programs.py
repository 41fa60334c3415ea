"""Seeds that share a compiled model give what each gives by itself."""

import keras
import numpy as np

from keras_lbreg.callbacks.multi_worker_backup import training_state
from keras_lbreg.experiments import compare
from keras_lbreg.experiments.load_data import load_data
from keras_lbreg.experiments.plan import make_plan
from keras_lbreg.experiments.programs import Programs
from keras_lbreg.experiments.recipe import Recipe
from tests.experiments.small_problem import experiment, numbers


def with_dropout(dataset):
    """A network whose layers have random states of their own."""
    return keras.Sequential(
        [
            keras.Input(dataset.input_shape),
            keras.layers.Dense(8, name="dense_1"),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(dataset.classes, name="logits"),
        ]
    )


RECIPE = Recipe(
    name="dropout",
    network=with_dropout,
    small_batch_size=8,
    batch_size=32,
    learning_rate=0.05,
    epochs=3,
    optimizer="coupled_sgd",
    reset_momentum=True,
    dreg_layer="dense_1",
)


def test_a_second_seed_is_as_if_it_were_the_first(tmp_path):
    settings = {
        "arms": ("large_batch", "lr_group_noise", "all"),
        "recipe": RECIPE,
        "epochs": 3,
    }
    both = experiment(tmp_path, seeds=2, **settings)
    alone = experiment(
        tmp_path, first_seed=1, out_dir=str(tmp_path / "alone"), **settings
    )
    second = [row for row in numbers(compare(both)) if row["seed"] == 1]
    assert second == numbers(compare(alone))
    assert all(row["loss"] > 0 for row in second)


def test_program_is_compiled_once_and_begins_anew(tmp_path):
    task = experiment(tmp_path, recipe=RECIPE)
    dataset = load_data(task)
    plan = make_plan(task, "large_batch", dataset)
    programs = Programs()
    model = programs.prepare(plan, dataset, seed=0)
    first = training_state(model)
    other = programs.prepare(plan, dataset, seed=1)
    assert other is model
    assert any(
        (a != b).any()
        for a, b in zip(first, training_state(other), strict=True)
    )
    again = programs.prepare(plan, dataset, seed=0)
    for a, b in zip(first, training_state(again), strict=True):
        np.testing.assert_array_equal(a, b)


def test_large_models_are_not_kept(tmp_path):
    task = experiment(tmp_path, recipe=RECIPE)
    dataset = load_data(task)
    plan = make_plan(task, "large_batch", dataset)
    programs = Programs(memory=100)
    first = programs.prepare(plan, dataset, seed=0)
    assert programs.prepare(plan, dataset, seed=0) is not first


def test_forgotten_programs_are_compiled_again(tmp_path):
    task = experiment(tmp_path, recipe=RECIPE)
    dataset = load_data(task)
    plan = make_plan(task, "large_batch", dataset)
    programs = Programs()
    first = programs.prepare(plan, dataset, seed=0)
    programs.forget(plan)
    assert programs.prepare(plan, dataset, seed=0) is not first
