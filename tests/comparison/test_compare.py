"""Arms side by side in a folder."""

import json
import math
import shutil

import keras
import numpy as np
import pytest

import keras_lbreg as lbreg
from keras_lbreg.comparison import arm_names, read_results, standard_arms, train
from keras_lbreg.comparison.arms import choose_arms
from keras_lbreg.comparison.statistics import arm_statistics
from keras_lbreg.files import FolderInUseError, lock
from keras_lbreg.techniques import OPTIMIZERS, TECHNIQUES
from keras_lbreg.training import Arm
from keras_lbreg.training.examine import examine
from tests.checks.small_workload import (
    blobs,
    build_model,
    numbers,
    small_workload,
)

WORKLOAD = small_workload()
ARMS = ["small_batch", "large_batch", "lr"]


def compare(path, workload=WORKLOAD, arms=ARMS, seeds=1, **kwargs):
    return lbreg.compare(
        workload, arms=arms, seeds=seeds, out=path, progress=False, **kwargs
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A comparison that is not written to afterwards."""
    path = tmp_path_factory.mktemp("compare")
    return path, compare(path, report=False)


def test_results(folder):
    path, results = folder
    assert results.arm_names == ARMS
    assert [run.status for run in results.runs] == ["finished"] * 3
    assert results.complete
    found = (results.objective, results.maximize, results.is_share)
    assert found == ("val_accuracy", True, True)
    for name in ("Small batch", "Large batch", "LR"):
        assert name in results.table()
    again = read_results(path)
    for a, b in zip(results.runs, again.runs, strict=True):
        assert numbers(a.epochs) == numbers(b.epochs)


def test_arms_and_seeds_can_be_added(folder, tmp_path):
    arm = Arm("Mine", {"lr_scaling": {"rule": "linear"}}, control="lr")
    first = compare(tmp_path, report=False, arms=["lr"])
    second = compare(tmp_path, report=False, arms=["large_batch", arm], seeds=2)
    assert second.arm_names == ["large_batch", "lr", "mine"]
    assert second.manifest["seeds"] == [0, 1]
    assert second.runs_of("lr")[0].epochs == first.runs[0].epochs
    assert not second.complete
    expected = folder[1].runs_of("lr")[0]
    assert numbers(first.runs[0].epochs) == numbers(expected.epochs)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch_size": 16}, "batch_size: 24 there, 16 now"),
        ({"workload": WORKLOAD.with_epochs(2)}, "epochs: 4 there, 2 now"),
        (
            {"workload": small_workload(train_data=blobs(48, seed=5))},
            "data: .* there",
        ),
        (
            {"hyperparameters": {"lr_scaling": {"rule": "linear"}}},
            "hyperparameters: {} there",
        ),
    ],
)
def test_another_experiment_needs_another_folder(folder, change, words):
    path, _ = folder
    workload = change.pop("workload", WORKLOAD)
    with pytest.raises(ValueError, match=words):
        compare(path, workload, report=False, **change)


def test_a_folder_belongs_to_one_command(folder):
    with pytest.raises(ValueError, match="belongs to `compare`"):
        train(WORKLOAD, out=folder[0], progress=False)


def test_runs_without_a_manifest_are_not_touched(tmp_path):
    (tmp_path / "runs").mkdir()
    with pytest.raises(ValueError, match="holds runs, but no manifest"):
        compare(tmp_path)


def test_one_writer(folder):
    with lock(folder[0]), pytest.raises(FolderInUseError, match="Another"):
        compare(folder[0], report=False)


def test_fresh_deletes_the_runs(folder, tmp_path):
    path = tmp_path / "copy"
    shutil.copytree(folder[0], path)
    results = compare(path, arms=["large_batch"], report=False, fresh=True)
    assert results.arm_names == ["large_batch"]
    assert [run.time for run in results.runs] != [folder[1].runs[1].time]
    assert not (path / "runs" / "lr" / "seed-0").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not valid JSON"),
        ("[]", "expected a JSON object"),
        ('{"schema": 1}', "its format is 1"),
        ('{"schema": 2}', "expected a"),
    ],
)
def test_a_manifest_that_cannot_be_read(tmp_path, content, words):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(ValueError, match=words):
        read_results(tmp_path)


def test_a_loss_is_smaller_where_it_is_better(tmp_path):
    x, _ = blobs(48)
    y = x.sum(axis=1, keepdims=True)

    def regression():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile("adam", "mse")
        return model

    workload = lbreg.Workload(
        regression,
        (x, y),
        (x[:16], y[:16]),
        lbreg.Regime(4, 0.1, epochs=3),
    )
    assert workload.name == "regression"
    results = compare(tmp_path, workload, ARMS[:2], batch_size=24)
    assert (results.objective, results.maximize) == ("val_loss", False)
    assert not results.is_share
    small, large = (results.runs_of(name)[0] for name in ARMS[:2])
    assert small.final < large.final
    assert small.best == min(r.objective for r in small.epochs)
    rows = {row.arm: row for row in arm_statistics(results)}
    assert rows["large_batch"].gap.mean == pytest.approx(
        large.final - small.final
    )
    assert results.report_path.is_file()


def test_holdout_leaves_the_validation_data_alone(tmp_path):
    x, y = blobs(40, seed=1)
    workload = small_workload(validation_data=(np.full_like(x, 1e6), y))
    results = compare(
        tmp_path, workload, arms=["lr"], report=False, holdout=0.25
    )
    described = results.manifest["workload"]
    assert described["val_samples"] == pytest.approx(12, abs=2)
    assert described["train_samples"] + described["val_samples"] == 48
    # As many updates as with all of them.
    assert results.runs_of("lr")[0].updates == 8


def test_to_dataframe(folder):
    pandas = pytest.importorskip("pandas")
    frame = folder[1].to_dataframe()
    assert isinstance(frame, pandas.DataFrame)
    assert len(frame) == 12


def test_every_technique_has_an_arm_and_every_arm_its_control():
    arms = {arm.name: arm for arm in standard_arms(warm_up=True)}
    assert list(arms) == arm_names()
    used = {name for arm in arms.values() for name in arm.techniques}
    # Nesterov momentum and other optimizers are matters of tuning the control.
    tuned = {"nesterov", *OPTIMIZERS}
    assert used == {t.name for t in TECHNIQUES} - tuned
    for arm in arms.values():
        assert arm.group == "reference" or arm.control in arms
    assert arms["lr_dreg"].control == "lr_doubled"


def chosen(workload, wanted=None):
    arms, lines = choose_arms(workload, examine(workload), 24, wanted)
    return [arm.name for arm in arms], lines


def test_arms_that_cannot_act_are_left_out():
    workload = small_workload(build_model=lambda: build_model(norm=False))
    names, lines = chosen(workload)
    assert "lr_gbn" not in names
    assert "lr_dreg" in names
    assert len(lines) == 1
    assert lines[0].startswith("Without GBN: ")
    names, lines = chosen(WORKLOAD)
    assert "lr_gbn" in names
    assert lines == []
    assert not any(name.startswith("lr_warmup_") for name in names)


def test_a_workload_with_warm_up_has_techniques_on_it():
    warm = small_workload(techniques={"lr_scaling": {"warmup_epochs": 1}})
    assert "lr_warmup_gbn" in chosen(warm)[0]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (["lr_gnb"], "Did you mean 'lr_gbn'"),
        ([], "at least one arm"),
        ([Arm("mine"), Arm("Mine")], "'mine' twice"),
        ([Arm("lr")], "an `Arm` named 'lr'"),
    ],
)
def test_arms_that_do_not_exist(wanted, words):
    with pytest.raises(ValueError, match=words):
        chosen(WORKLOAD, wanted)


def test_manifest_is_json_without_nan(folder):
    text = (folder[0] / "manifest.json").read_text()
    manifest = json.loads(text, parse_constant=lambda name: math.nan / 0)
    assert manifest["workload"]["optimizer"].startswith("SGD(")
    assert manifest["arms"][2]["techniques"]["lr_scaling"]["rule"] == "sqrt"
