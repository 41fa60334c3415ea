"""A run is a function of workload, arm and seed."""

import json
import shutil

import keras
import numpy as np
import pytest

import keras_lbreg as lbreg
from keras_lbreg.comparison.arms import standard_arms
from keras_lbreg.techniques import names
from keras_lbreg.training import Arm, Run, choose_strategy
from keras_lbreg.training.display import Display
from keras_lbreg.training.records import (
    BACKUP,
    SUMMARY,
    EpochRecord,
    read_run,
    run_folder,
)
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
LARGE = Arm("large")
QUIET = Display(quiet=True)


def fit(arm, seed=0):
    run = Run(WORKLOAD, arm, seed)
    model = run.build()
    return run, model, run.fit(model)


@pytest.fixture(scope="module")
def everything():
    """The run, the trained model and the records."""
    return fit(EVERYTHING)


@pytest.fixture(scope="module")
def dreg():
    return fit(DREG)


@pytest.fixture(params=["everything", "dreg"])
def trained(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def programs():
    """Compiled models, which tests of what a folder holds share."""
    return {}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, programs):
    """The folder of a finished run, its model's file and its result."""
    path = tmp_path_factory.mktemp("finished")
    run = Run(WORKLOAD, LARGE, programs=programs)
    return path, run.train(path, QUIET, path / "model.keras")


def test_records(trained):
    run, _model, records = trained
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
    run, model, records = trained
    plain = run.export(model)
    theirs = [(type(x), x.name) for x in run.facts.model.layers]
    assert [(type(x), x.name) for x in plain.layers] == theirs
    assert isinstance(plain.optimizer, keras.optimizers.SGD)
    x, y = blobs(40, seed=1)
    results = plain.evaluate(x, y, verbose=0, return_dict=True)
    assert results["accuracy"] == pytest.approx(records[-1].objective)
    assert results["loss"] == pytest.approx(
        records[-1].logs["val_loss"], rel=1e-4
    )


def test_judged_with_estimated_statistics():
    """Zero updates behind them, moving statistics are those of no data."""
    _run, model, records = fit(LARGE)
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


def test_models_that_are_kept_compiled_are_right_for_other_seeds(everything):
    programs = {}
    first = Run(WORKLOAD, EVERYTHING, 1, programs=programs)
    others = first.fit(first.prepare())
    second = Run(WORKLOAD, EVERYTHING, 0, programs=programs)
    records = second.fit(second.prepare())
    assert numbers(records) == numbers(everything[2])
    assert numbers(records) != numbers(others)


class Stopping(Display):
    """Is interrupted in an epoch; knows what was shown."""

    def __init__(self, epoch=None):
        super().__init__(quiet=True)
        self.stops_at = epoch
        self.begun = []
        self.said = []

    def say(self, text):
        self.said.append(text)

    def epoch(self, record):
        super().epoch(record)
        self.begun.append(record.epoch)
        if record.epoch == self.stops_at:
            raise KeyboardInterrupt


@pytest.mark.parametrize(("name", "epoch"), [("everything", 1), ("dreg", 3)])
def test_an_interrupted_run_goes_on(tmp_path, request, name, epoch):
    run, _, uninterrupted = request.getfixturevalue(name)
    with pytest.raises(KeyboardInterrupt):
        Run(WORKLOAD, run.arm).train(tmp_path, Stopping(epoch))
    assert read_run(tmp_path, run.arm.name, 0).status == "running"
    display = Stopping()
    result = Run(WORKLOAD, run.arm).train(tmp_path, display)
    # The epoch that was recorded, but not saved, comes again.
    assert display.begun == list(range(epoch, 5))
    line = f"{name}, seed 0 goes on after epoch {epoch - 1} of 4"
    assert (line in display.said) is (epoch > 1)
    assert result.status == "finished"
    assert numbers(result.epochs) == numbers(uninterrupted)


def test_a_run_that_was_stopped_after_its_last_epoch(
    tmp_path, finished, programs
):
    """All is recorded and saved but that it is finished."""
    run = Run(WORKLOAD, LARGE, programs=programs)
    folder = run_folder(tmp_path, "large", 0)
    run.fit(run.prepare(), folder)
    assert (folder / BACKUP).is_file()
    result = run.train(tmp_path, QUIET, tmp_path / "model.keras")
    assert result.status == "finished"
    assert numbers(result.epochs) == numbers(finished[1].epochs)
    model = keras.saving.load_model(tmp_path / "model.keras")
    expected = keras.saving.load_model(finished[0] / "model.keras")
    for ours, theirs in zip(model.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_part_of_the_regime_and_the_rest(everything):
    run, model, whole = everything[0], everything[0].build(), everything[2]
    first = run.fit(model, until=0.5)
    rest = run.fit(model, begin=0.5)

    # The distance is that from where each part began.
    ours, theirs = (
        [(r.epoch, {**r.logs, "weight_distance": None}) for r in records]
        for records in (first + rest, whole)
    )
    assert ours == theirs


def test_a_finished_run_is_left_alone_and_its_model_kept(
    tmp_path, finished, monkeypatch
):
    path, result = finished
    model = keras.saving.load_model(path / "model.keras")
    x, y = blobs(40, seed=1)
    score = model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"]
    assert score == pytest.approx(result.final)
    monkeypatch.setattr(Run, "prepare", None)  # It would be called.
    again = Run(WORKLOAD, LARGE).train(path, QUIET, tmp_path / "copy.keras")
    assert again == result
    assert (tmp_path / "copy.keras").is_file()


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
    "summary": lambda folder: (folder / SUMMARY).write_text("{"),
    "status": lambda folder: (folder / SUMMARY).write_text("{}"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_records_are_no_results(tmp_path, finished, programs, damage):
    path, expected = finished
    folder = tmp_path / "copy"
    shutil.copytree(path, folder)
    DAMAGES[damage](run_folder(folder, "large", 0))
    found = read_run(folder, "large", 0)
    assert (found.status, found.epochs) == ("damaged", ())
    display = Stopping()
    again = Run(WORKLOAD, LARGE, programs=programs).train(folder, display)
    assert display.said[0].startswith("Damaged, trained again: large, seed 0")
    assert numbers(again.epochs) == numbers(expected.epochs)


@pytest.mark.parametrize("line", [[], {}, {"logs": 3}, "epoch"])
def test_lines_that_are_no_records(line):
    with pytest.raises(ValueError, match="not the record"):
        EpochRecord.from_json(line)


def test_a_loss_that_is_not_finite_is_a_failed_run(tmp_path):
    arm = Arm("too fast", learning_rate_factor=1e30)
    workload = small_workload(
        build_model=lambda: build_model(keras.optimizers.SGD(), norm=False)
    )
    result = Run(workload, arm).train(tmp_path, QUIET)
    assert result.status == "failed"
    assert result.reason.startswith("the loss became")
    assert len(result.epochs) < 4


def test_an_error_is_recorded_and_tried_again(tmp_path, monkeypatch, programs):
    def fail(*args, **kwargs):
        raise MemoryError("no memory for this")

    with monkeypatch.context() as patch:
        patch.setattr(Run, "prepare", fail)
        result = Run(WORKLOAD, LARGE).train(tmp_path, QUIET)
    assert result.status == "failed"
    assert result.reason == "MemoryError: no memory for this"
    error = run_folder(tmp_path, "large", 0) / "error.txt"
    assert "Traceback" in error.read_text()
    again = Run(WORKLOAD, LARGE, programs=programs).train(tmp_path, QUIET)
    assert again.status == "finished"
    assert not error.exists()


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
    rates = []
    for epoch in range(4):
        model.optimizer.iterations.assign(6 * epoch)
        rates.append(float(model.optimizer.learning_rate))
    assert rates == pytest.approx([0.02, 0.02, 0.002, 0.002])
    given, used = optimizer().get_config(), model.optimizer.get_config()
    for config in (given, used):
        config.pop("learning_rate", None)
        config.pop("inner_optimizer", None)
    assert used == given


def test_names_do_not_depend_on_models_built_before(dreg):
    _, first, _ = dreg
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
    Run(workload, LARGE).build()
    Run(workload, Arm("small", batch_size="small")).build()
    assert seen[-2:] == [2, 6]


def test_two_devices_follow_one(everything):
    """Ghosts of which no device has a part; samples are mixed by weights."""
    strategy = {"tensorflow": "mirrored", "jax": "jax-data-parallel"}
    placement = choose_strategy(strategy[keras.backend.backend()], 2)
    run = Run(WORKLOAD, EVERYTHING, placement=placement)
    records = run.fit(run.build())
    for ours, theirs in zip(records, everything[2], strict=True):
        assert ours.learning_rate == theirs.learning_rate
        for name in ("weight_distance", "loss"):
            assert ours.logs[name] == pytest.approx(theirs.logs[name], abs=1e-5)
        # One of the 40 validation samples may lie on the border.
        assert ours.objective == pytest.approx(theirs.objective, abs=0.026)


ARMS = {arm.name: arm for arm in standard_arms(4)}
ARMS["nesterov"] = Arm("nesterov", ["lr_scaling", "nesterov"])
ARMS["lars"] = Arm("lars", ["lr_scaling", "lars"], learning_rate_factor=8.0)
# On another optimizer than the workload's.
ADAPTIVE = [
    Arm("adaptive", ["adam_scaling", "average_scaling"]),
    Arm("lamb", ["adam_scaling", "average_scaling", "lamb"]),
]
TRAINED = ("lr_gbn_ra", "lr_group_noise", "all", "nesterov", "lars")


@pytest.mark.parametrize("name", ["lr_warmup", *TRAINED])
def test_standard_arms_train_and_can_be_saved(tmp_path, name):
    check_training(Run(WORKLOAD, ARMS[name]), tmp_path)


@pytest.mark.parametrize("arm", ADAPTIVE, ids=["adam", "lamb"])
def test_rules_of_adaptive_optimizers_train_and_can_be_saved(tmp_path, arm):
    def build():
        return build_model(keras.optimizers.Adam(use_ema=True))

    run = Run(small_workload(build_model=build), arm)
    check_training(run, tmp_path)
    optimizer = run.build().optimizer
    assert isinstance(optimizer, keras.optimizers.Lamb) == ("lamb" in arm.name)
    # Three times the batch.
    assert optimizer.beta_1 == pytest.approx(0.7)
    assert optimizer.ema_momentum == pytest.approx(0.99**3)


def check_training(run, path):
    result = run.train(path, QUIET, path / "m.keras")
    assert result.status == "finished", result.reason
    assert result.updates == run.plan.updates
    model = keras.saving.load_model(path / "m.keras")
    assert [type(x) for x in model.layers] == [
        type(x) for x in run.facts.model.layers
    ]


def test_these_arms_have_all_techniques():
    used = [*(ARMS[name] for name in TRAINED), *ADAPTIVE]
    assert {t for arm in used for t in arm.techniques} == {*names()}
