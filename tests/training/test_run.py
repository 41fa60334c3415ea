"""A run is a function of workload, arm and seed."""

import json
import shutil

import keras
import numpy as np
import pytest

import keras_lbreg as lbreg
from keras_lbreg.callbacks.multi_worker_backup import training_state
from keras_lbreg.comparison.arms import standard_arms
from keras_lbreg.training import Arm, Run, choose_strategy
from keras_lbreg.training.display import Display
from keras_lbreg.training.records import read_run, run_folder
from tests.checks.small_workload import (
    blobs,
    build_model,
    numbers,
    small_workload,
)

WORKLOAD = small_workload()
EVERYTHING = Arm(
    "everything",
    ["lr_scaling", "ghost_batch_norm", "gradient_noise", "gradient_mix"],
)
DREG = Arm("dreg", {"lr_scaling": {}, "dreg": {"weight": 0.1}})


def fit(arm, seed=0, workload=WORKLOAD, **kwargs):
    run = Run(workload, arm, seed, **kwargs)
    model = run.build()
    return run, model, run.fit(model)


def states_equal(a, b):
    for x, y in zip(training_state(a), training_state(b), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.fixture(scope="module", params=[EVERYTHING, DREG], ids=lambda a: a.name)
def trained(request):
    return (request.param, *fit(request.param))


def test_same_seed_same_numbers(trained):
    arm, _, model, records = trained
    _, again, others = fit(arm)
    assert numbers(others) == numbers(records)
    states_equal(model, again)
    _, _, others = fit(arm, seed=1)
    assert numbers(others) != numbers(records)


def test_records(trained):
    _, run, _model, records = trained
    assert [r.epoch for r in records] == [1, 2, 3, 4]
    assert [r.updates for r in records] == [2, 4, 6, 8]
    assert records[-1].samples == 4 * 48
    # The square-root rule, and the workload's milestone.
    rate = 0.02 * 3**0.5
    rates = [rate, rate, rate / 10, rate / 10]
    assert [r.learning_rate for r in records] == pytest.approx(rates)
    last = records[-1]
    assert last.objective == last.logs["val_accuracy"]
    assert 0 < last.time <= last.elapsed
    assert run.objective == "val_accuracy"


def test_export_is_the_users_network_and_what_was_judged(trained):
    _, run, model, records = trained
    plain = run.export(model)
    with keras.utils.custom_object_scope({}):
        assert [type(x) for x in plain.layers] == [
            type(x) for x in run.facts.model.layers
        ]
    assert [x.name for x in plain.layers] == [
        x.name for x in run.facts.model.layers
    ]
    assert isinstance(plain.optimizer, keras.optimizers.SGD)
    x, y = blobs(40, seed=1)
    results = plain.evaluate(x, y, verbose=0, return_dict=True)
    assert results["accuracy"] == pytest.approx(records[-1].objective)
    evaluated = run.evaluate(model)
    assert evaluated["val_loss"] == pytest.approx(
        records[-1].logs["val_loss"], rel=1e-4
    )


def test_judged_with_estimated_statistics():
    """Zero updates behind them, moving statistics are those of no data."""
    _run, model, records = fit(Arm("large"))
    logs = records[0].logs
    assert logs["moving_val_loss"] != pytest.approx(logs["val_loss"], rel=1e-3)
    # A numpy oracle of the whole network on all samples.
    x, y = blobs(40, seed=1)
    kernel, gamma, beta, head, bias = (
        np.asarray(keras.ops.convert_to_numpy(v))
        for v in model.trainable_variables
    )
    inputs, _ = blobs(48)
    # The estimate pools the batches of training, which has seen all samples.
    hidden = inputs @ kernel
    mean, variance = hidden.mean(0), hidden.var(0)
    normal = (x @ kernel - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    logits = np.maximum(normal, 0) @ head + bias
    accuracy = np.mean(logits.argmax(1) == y)
    assert records[-1].objective == pytest.approx(accuracy, abs=1 / 40 + 1e-6)


def test_models_that_are_kept_compiled_are_right_for_other_seeds():
    programs = {}
    first = Run(WORKLOAD, EVERYTHING, 0, programs=programs)
    first.fit(first.prepare())
    second = Run(WORKLOAD, EVERYTHING, 1, programs=programs)
    records = second.fit(second.prepare())
    _, _, expected = fit(EVERYTHING, seed=1)
    assert numbers(records) == numbers(expected)


@pytest.mark.parametrize("arm", [EVERYTHING, DREG], ids=lambda a: a.name)
@pytest.mark.parametrize("epoch", [1, 3])
def test_an_interrupted_run_goes_on(tmp_path, arm, epoch):
    run = Run(WORKLOAD, arm)
    uninterrupted = run.fit(run.build())
    display = Display(quiet=True)
    advance = display.epoch

    def interrupt(record):
        advance(record)
        if record.epoch == epoch:
            raise KeyboardInterrupt

    display.epoch = interrupt
    with pytest.raises(KeyboardInterrupt):
        Run(WORKLOAD, arm).train(tmp_path, display)
    assert read_run(tmp_path, arm.name, 0).status == "running"
    begun = []
    display.epoch = lambda record: begun.append(record.epoch)
    display.run_started(run)
    result = Run(WORKLOAD, arm).train(tmp_path, display)
    # The epoch that was recorded, but not saved, comes again.
    assert begun == list(range(epoch, 5))
    assert result.status == "finished"
    assert numbers(result.epochs) == numbers(uninterrupted)


def test_a_part_of_the_regime_and_the_rest():
    run = Run(WORKLOAD, EVERYTHING)
    model = run.build()
    whole = run.fit(run.build())
    first = run.fit(model, until=0.5)
    rest = run.fit(model, begin=0.5)
    # The distance is that from where each part began.
    for records in (whole, first, rest):
        for record in records:
            record.logs.pop("weight_distance")
    assert numbers(first + rest) == numbers(whole)


def test_a_finished_run_is_left_alone_and_its_model_kept(tmp_path):
    path = tmp_path / "model.keras"
    display = Display(quiet=True)
    run = Run(WORKLOAD, EVERYTHING)
    result = run.train(tmp_path, display, path)
    model = keras.saving.load_model(path)
    x, y = blobs(40, seed=1)
    score = model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"]
    assert score == pytest.approx(result.final)
    path.unlink()
    Run(WORKLOAD, EVERYTHING).train(tmp_path, display, path)
    assert path.is_file()
    skipped = Run(WORKLOAD, EVERYTHING)
    skipped.prepare = None  # It would be called.
    again = skipped.train(tmp_path, display)
    assert numbers(again.epochs) == numbers(result.epochs)


def damage_journal(change):
    def damage(folder):
        path = folder / "epochs.jsonl"
        path.write_text(change(path.read_text().splitlines(keepends=True)))

    return damage


def larger(lines):
    line = json.loads(lines[-1])
    line["objective"] = 17.0
    return "".join([*lines[:-1], json.dumps(line) + "\n"])


DAMAGES = {
    "cut": damage_journal(lambda lines: "".join(lines[:-1])),
    "emptied": damage_journal(lambda lines: ""),
    "garbled": damage_journal(lambda lines: "".join(lines[:-1]) + "{]\n"),
    "out of range": damage_journal(larger),
    "no journal": lambda folder: (folder / "epochs.jsonl").unlink(),
    "summary": lambda folder: (folder / "summary.json").write_text("{"),
    "status": lambda folder: (folder / "summary.json").write_text("{}"),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("finished")
    arm = Arm("large")
    return path, Run(WORKLOAD, arm).train(path, Display(quiet=True))


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_records_are_no_results(tmp_path, finished, damage, capsys):
    path, expected = finished
    folder = tmp_path / "copy"
    shutil.copytree(path, folder)
    DAMAGES[damage](run_folder(folder, "large", 0))
    found = read_run(folder, "large", 0)
    assert found.status == "damaged"
    assert found.epochs == ()
    again = Run(WORKLOAD, Arm("large")).train(folder, Display())
    assert "Damaged, trained again: large, seed 0" in capsys.readouterr().out
    assert numbers(again.epochs) == numbers(expected.epochs)


def test_a_loss_that_is_not_finite_is_a_failed_run(tmp_path):
    arm = Arm("too fast", learning_rate_factor=1e30)
    workload = small_workload(
        build_model=lambda: build_model(keras.optimizers.SGD(), norm=False)
    )
    result = Run(workload, arm).train(tmp_path, Display(quiet=True))
    assert result.status == "failed"
    assert result.reason.startswith("the loss became")
    assert len(result.epochs) < 4


def test_an_error_is_recorded_and_tried_again(tmp_path, monkeypatch):
    arm = Arm("large")
    run = Run(WORKLOAD, arm)

    def fail(*args, **kwargs):
        raise MemoryError("no memory for this")

    monkeypatch.setattr(run, "prepare", fail)
    result = run.train(tmp_path, Display(quiet=True))
    assert result.status == "failed"
    assert result.reason == "MemoryError: no memory for this"
    again = Run(WORKLOAD, arm).train(tmp_path, Display(quiet=True))
    assert again.status == "finished"


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.AdamW(0.5, beta_1=0.8, weight_decay=0.1),
        lambda: lbreg.GradientNoise(keras.optimizers.Adam(0.5), seed=3),
        lambda: keras.optimizers.SGD(
            keras.optimizers.schedules.CosineDecay(0.5, 10)
        ),
    ],
    ids=["adamw", "ours", "schedule"],
)
def test_the_users_optimizer_at_the_regimes_rate(optimizer):
    workload = small_workload(build_model=lambda: build_model(optimizer()))
    run = Run(workload, Arm("small", batch_size="small"))
    model = run.build()
    records = run.fit(model)
    rates = [r.learning_rate for r in records]
    assert rates == pytest.approx([0.02, 0.02, 0.002, 0.002])
    given, used = optimizer().get_config(), model.optimizer.get_config()
    for config in (given, used):
        config.pop("learning_rate", None)
        config.pop("inner_optimizer", None)
    assert used == given


def test_names_do_not_depend_on_models_built_before():
    first = Run(WORKLOAD, DREG).build()
    keras.layers.Dense(1)
    build_model()
    second = Run(WORKLOAD, DREG).build()
    assert [v.path for v in first.variables] == [
        v.path for v in second.variables
    ]


def test_steps_per_epoch_is_handed_to_build_model():
    seen = []

    def build(steps_per_epoch):
        seen.append(steps_per_epoch)
        return build_model()

    workload = small_workload(build_model=build)
    Run(workload, Arm("large")).build()
    Run(workload, Arm("small", batch_size="small")).build()
    assert seen[-2:] == [2, 6]


# ---- Several devices ----


def test_two_devices_follow_one():
    """Ghosts of which no device has a part; samples are mixed by weights."""
    strategy = {"tensorflow": "mirrored", "jax": "jax-data-parallel"}
    placement = choose_strategy(strategy[keras.backend.backend()], 2)
    _, _, expected = fit(EVERYTHING)
    run = Run(WORKLOAD, EVERYTHING, placement=placement)
    for ours, theirs in zip(run.fit(run.build()), expected, strict=True):
        assert ours.learning_rate == theirs.learning_rate
        for name in ("weight_distance", "loss"):
            assert ours.logs[name] == pytest.approx(theirs.logs[name], abs=1e-5)
        # One of the 40 validation samples may lie on the border.
        assert ours.objective == pytest.approx(theirs.objective, abs=0.026)


@pytest.mark.parametrize("arm", standard_arms(4), ids=lambda arm: arm.name)
def test_every_standard_arm_trains(tmp_path, arm):
    run = Run(WORKLOAD, arm)
    result = run.train(tmp_path, Display(quiet=True), tmp_path / "m.keras")
    assert result.status == "finished", result.reason
    assert result.updates == run.plan.updates
    model = keras.saving.load_model(tmp_path / "m.keras")
    assert [type(x) for x in model.layers] == [
        type(x) for x in run.facts.model.layers
    ]
