"""Whole runs under a strategy follow the run on one device."""

import dataclasses
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_lbreg.data import load_dataset
from keras_lbreg.experiments import Experiment, choose_strategy, compare
from keras_lbreg.experiments.build import build_data, build_model
from keras_lbreg.experiments.events import (
    EpochEnded,
    RunStarted,
    StrategyChosen,
)
from keras_lbreg.experiments.manifest import read_manifest
from keras_lbreg.experiments.placement import ONE_DEVICE
from keras_lbreg.experiments.plan import make_plan
from keras_lbreg.experiments.results import read_results
from tests.experiments.small_problem import blobs, experiment
from tests.experiments.strategy_problem import (
    CLIP,
    EPOCHS,
    check_same_parameters,
    load_model,
    make_experiment,
    train,
)

SEVERAL = {"tensorflow": "mirrored", "jax": "jax-data-parallel"}[
    keras.backend.backend()
]


@dataclasses.dataclass
class Outcome:
    """What a run left behind."""

    experiment: Experiment
    events: list
    result: object
    model: keras.Model


def interrupt(event):
    if isinstance(event, EpochEnded) and event.record.epoch == 3:
        raise KeyboardInterrupt


def run_in(folder, **kwargs):
    chosen, events = make_experiment(folder, **kwargs), []
    result = train(chosen, folder, events.append)
    return Outcome(chosen, events, result, load_model(folder))


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """The run on one device."""
    return run_in(tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The run on two devices."""
    folder = tmp_path_factory.mktemp("two")
    return run_in(folder, strategy=SEVERAL, devices=2)


def check_same_run(ours, theirs):
    assert ours.updates == theirs.updates == 24
    for a, b in zip(ours.epochs, theirs.epochs, strict=True):
        assert a.weight_distance == pytest.approx(b.weight_distance, abs=1e-5)
        assert a.accuracy == pytest.approx(b.accuracy)
        assert a.learning_rate == b.learning_rate


def check_validation(result, model):
    """The recorded metrics are those of the saved model, on 40 samples."""
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    expected = model.evaluate(*blobs(40, seed=1), verbose=0, return_dict=True)
    last = result.epochs[-1]
    assert last.val_accuracy == pytest.approx(expected["accuracy"])
    assert last.val_loss == pytest.approx(expected["loss"], rel=1e-5)


def test_the_run_is_that_of_one_device(one, two):
    check_same_parameters(two.model, one.model)
    check_same_run(two.result, one.result)
    check_validation(two.result, two.model)


@pytest.mark.slow
def test_an_interrupted_run_goes_on(one, tmp_path):
    chosen = make_experiment(tmp_path, strategy=SEVERAL, devices=2)
    with pytest.raises(KeyboardInterrupt):
        train(chosen, tmp_path, interrupt)
    outcome = run_in(tmp_path, strategy=SEVERAL, devices=2)
    begun = next(e for e in outcome.events if isinstance(e, RunStarted))
    assert 1 <= begun.epoch <= 3
    [run] = read_results(chosen.out_dir).runs
    assert [r.epoch for r in run.epochs] == [*range(1, EPOCHS + 1)]
    check_same_run(run, one.result)
    check_same_parameters(outcome.model, one.model)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_two_workers_follow_one_device(one, tmp_path):
    program = os.path.join(os.path.dirname(__file__), "strategy_problem.py")
    root = os.path.dirname(os.path.dirname(os.path.dirname(program)))
    launched = subprocess.run(
        [
            *(sys.executable, "-m", "keras_lbreg", "launch", "--workers", "2"),
            *("--", sys.executable, program, tmp_path),
        ],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert launched.returncode == 0, launched.stdout + launched.stderr
    [result] = read_results(tmp_path / "run").runs
    check_same_run(result, one.result)
    model = load_model(tmp_path)
    check_same_parameters(model, one.model)
    check_validation(result, model)


def test_gradients_were_clipped(one):
    """Every update is at most the sum of the clipped ones before it."""
    rates = [0.02 * 32**0.5 / 8**0.5 * factor for factor in (1, 0.1, 0.01)]
    longest = (12 * rates[0] + 6 * rates[1] + 6 * rates[2]) * CLIP / (1 - 0.9)
    assert 0.1 < one.result.epochs[-1].weight_distance / longest < 1.01


@pytest.mark.tensorflow
def test_plain_optimizers_clip_the_gradient_of_all_replicas(tmp_path):
    placement = choose_strategy("mirrored", 2)
    chosen = experiment(tmp_path)
    dataset = load_dataset(chosen.dataset)
    for given, kind in (
        (placement, "ReducedGradient"),
        (ONE_DEVICE, "SGD"),
    ):
        plan = make_plan(chosen, "large_batch", dataset, given)
        with given.scope():
            model = build_model(plan, dataset, seed=0)
        assert type(model.optimizer).__name__ == kind


@pytest.mark.tensorflow
@pytest.mark.parametrize("groups", [2, 4])
def test_replicas_get_the_parts_of_every_batch(tmp_path, groups):
    """Mixed by sample weights, unless a group is a replica."""
    chosen = experiment(
        tmp_path, hyperparameters={"gradient_mix": {"groups": groups}}
    )
    dataset = load_dataset(chosen.dataset)
    placement = choose_strategy("mirrored", 2)
    batches = []
    for given in (ONE_DEVICE, placement):
        plan = make_plan(chosen, "lr_mix", dataset, given)
        data = iter(build_data(plan, dataset, seed=1, initial_epoch=2))
        batches.append(next(data))
    whole, parts = batches
    if groups == 2:
        whole = whole[:2]
    for ours, expected in zip(parts, whole, strict=True):
        local = placement.handle.experimental_local_results(ours)
        assert [len(part) for part in local] == [16, 16]
        np.testing.assert_array_equal(np.concatenate(local), expected)


@pytest.mark.tensorflow
def test_the_plan_says_where_gradients_are_mixed(one, two, tmp_path):
    def mix_of(changes):
        return next(line for line in changes if "GradientMix" in line)

    def announced(outcome):
        [begun] = [e for e in outcome.events if isinstance(e, RunStarted)]
        return mix_of(begun.changes)

    assert "(in the optimizer, a group is a replica)" in announced(two)
    assert "(" not in announced(one)
    chosen = experiment(tmp_path)
    plan = make_plan(
        chosen,
        "lr_mix",
        load_dataset(chosen.dataset),
        choose_strategy("mirrored", 2),
    )
    assert "groups=4, concentration=1.0 (by sample" in mix_of(plan.changes())


def test_the_first_event_says_what_was_chosen(one, two):
    first = two.events[0]
    assert isinstance(first, StrategyChosen)
    assert first.placement.devices == 2
    assert first.layouts["all"].replica_batch_size == 16
    assert not any(isinstance(e, StrategyChosen) for e in one.events)


def test_another_strategy_is_another_configuration(two):
    chosen = two.experiment
    config = read_manifest(chosen.out_dir)["config"]
    assert (config["strategy"], config["devices"]) == (SEVERAL, 2)
    one = dataclasses.replace(chosen, strategy="one", devices=None)
    four = dataclasses.replace(chosen, devices=4)
    for other, words in ((one, "'one' now"), (four, "devices: 2 there, 4 now")):
        with pytest.raises(ValueError, match=words):
            compare(other)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"batch_size": 33}, "multiple of 2.*Received: 33.*--strategy one"),
        ({"small_batch_size": 7}, "multiple of 2.*Received: 7"),
    ],
)
def test_batches_that_devices_cannot_share_equally(tmp_path, sizes, message):
    chosen = experiment(tmp_path, strategy=SEVERAL, devices=2, **sizes)
    with pytest.raises(ValueError, match=message):
        compare(chosen)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strategy": "two"}, "`strategy`.*mirrored.*'two'"),
        ({"devices": 0}, "`devices`.*at least 1.*devices=0"),
        ({"devices": True}, "`devices`"),
    ],
)
def test_arguments_without_a_meaning(arguments, message):
    with pytest.raises(ValueError, match=message):
        Experiment(**arguments)
