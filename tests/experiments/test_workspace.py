import copy
import dataclasses
import json

import numpy as np
import pytest

from keras_lbreg.experiments import Arm, compare, read_results
from keras_lbreg.experiments.configuration_file import read_configuration
from keras_lbreg.experiments.lock import lock
from keras_lbreg.experiments.results import configuration_path
from keras_lbreg.experiments.workspace import Workspace, check_like_chief
from tests.experiments.small_problem import experiment


def open_once(chosen, arms=("large_batch",), seeds=(0,), fresh=False):
    with Workspace(chosen, fresh, arms, seeds) as workspace:
        return workspace.manifest


def test_manifest_says_what_ran_where(tmp_path):
    manifest = open_once(experiment(tmp_path))
    assert manifest["schema"] == 1
    assert manifest["dataset"]["train_samples"] == 96
    assert manifest["config"]["batch_size"] == 32
    assert {"python", "keras", "numpy", "keras_lbreg"} < set(
        manifest["versions"]
    )
    assert manifest["versions"][manifest["backend"]]
    assert manifest["device"]
    assert manifest["cpu_count"] >= 1
    on_disk = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert on_disk == manifest


def test_arms_and_seeds_can_be_added(tmp_path):
    open_once(experiment(tmp_path), arms=["lr"], seeds=[0])
    manifest = open_once(experiment(tmp_path), arms=["small_batch"], seeds=[1])
    assert [arm["name"] for arm in manifest["arms"]] == ["small_batch", "lr"]
    assert manifest["seeds"] == [0, 1]


def test_an_extra_arm_can_be_added_and_stays_the_last(tmp_path):
    mine = (Arm("mine", "Mine", "tuned", techniques=("lr_scaling",)),)
    chosen = experiment(tmp_path, extra_arms=mine)
    open_once(chosen, arms=["small_batch", "mine"])
    manifest = open_once(experiment(tmp_path), arms=["lr_doubled"])
    names = [arm["name"] for arm in manifest["arms"]]
    assert names == ["small_batch", "lr_doubled", "mine"]
    other = dataclasses.replace(mine[0], learning_rate_factor=2.0)
    with pytest.raises(ValueError, match=r"mine\.learning_rate: "):
        open_once(experiment(tmp_path, extra_arms=(other,)), arms=["mine"])


def test_an_extra_arm_has_its_configuration_in_the_folder(tmp_path):
    techniques = {"ghost_batch_norm": {"ghost_batch_size": 16}}
    mine = Arm(
        "mine",
        "Mine",
        "tuned",
        techniques=("lr_scaling", "ghost_batch_norm"),
        learning_rate_factor=2.0,
        hyperparameters=techniques,
    )
    chosen = experiment(tmp_path, extra_arms=(mine,))
    manifest = open_once(chosen, arms=["large_batch", "mine"])
    file = configuration_path(tmp_path / "run", "mine")
    found = read_configuration(file)
    assert (found.batch_size, found.small_batch_size) == (32, 8)
    assert (found.epochs, found.learning_rate_factor) == (4, 2.0)
    assert found.techniques == manifest["arms"][1]["techniques"]
    again = experiment(
        tmp_path, extra_arms=(found.arm("mine", "Mine"),), hyperparameters={}
    )
    with Workspace(
        dataclasses.replace(again, out_dir=str(tmp_path / "again")),
        False,
        ["mine"],
        [0],
    ) as workspace:
        assert workspace.manifest["arms"] == [manifest["arms"][1]]
    open_once(experiment(tmp_path), arms=["lr"], fresh=True)
    assert not file.exists()


def test_hyperparameters_younger_than_the_folder_had_their_default(tmp_path):
    chosen = experiment(tmp_path)
    open_once(chosen, arms=["lr_dreg"])
    file = tmp_path / "run" / "manifest.json"
    manifest = json.loads(file.read_text())
    [arm] = manifest["arms"]
    before = copy.deepcopy(arm)
    del arm["techniques"]["dreg"]["max_distance"]
    arm["changes"] = ["in words of long ago"]
    file.write_text(json.dumps(manifest))
    assert open_once(chosen, arms=["lr_dreg"])["arms"] == [before]


def test_a_folder_of_an_earlier_version_is_continued(tmp_path):
    chosen = experiment(tmp_path)
    open_once(chosen)
    file = tmp_path / "run" / "manifest.json"
    manifest = json.loads(file.read_text())
    for key in ("strategy", "devices", "holdout", "until"):
        del manifest["config"][key]
    file.write_text(json.dumps(manifest))
    assert open_once(chosen, seeds=[1])["seeds"] == [0, 1]


def test_data_held_out_takes_the_place_of_the_validation_data(tmp_path):
    chosen = experiment(tmp_path, holdout=0.25)
    with Workspace(chosen, False, ["large_batch"], [0]) as workspace:
        manifest, dataset = workspace.manifest, workspace.dataset
    assert manifest["config"]["holdout"] == 0.25
    assert manifest["dataset"]["train_samples"] == 72
    assert manifest["dataset"]["val_samples"] == 24
    with np.load(chosen.dataset) as arrays:
        theirs = {row.tobytes() for row in arrays["x_train"]}
    assert {row.tobytes() for row in dataset.x_val} < theirs
    assert "set apart" in manifest["dataset"]["notes"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"holdout": 0.25}, "train_samples: 96 there, 72 now"),
        ({"epochs": 5}, "epochs: 4 there, 5 now"),
        ({"batch_size": 48}, "batch_size: 32 there, 48 now"),
        ({"hyperparameters": {}}, "hyperparameters: "),
    ],
)
def test_another_configuration_is_refused(tmp_path, changes, message):
    before = open_once(experiment(tmp_path))
    other = experiment(tmp_path, **changes)
    with pytest.raises(ValueError, match=message):
        open_once(other)
    file = tmp_path / "run" / "manifest.json"
    assert json.loads(file.read_text()) == before
    fresh = open_once(other, fresh=True)
    assert fresh["config"] != before["config"]


def test_other_data_of_the_same_name_are_refused(tmp_path):
    chosen = experiment(tmp_path)
    open_once(chosen)
    from keras_lbreg.data import load_dataset
    from keras_lbreg.data.sources.npz import save_npz

    dataset = load_dataset(chosen.dataset)
    dataset.x_train[0] += 1
    save_npz(dataset, chosen.dataset)
    with pytest.raises(ValueError, match="checksum"):
        open_once(chosen)


def test_fresh_deletes_results_and_nothing_else(tmp_path):
    chosen = experiment(tmp_path, arms=("large_batch",), epochs=1)
    compare(chosen)
    (tmp_path / "run" / "notes.txt").write_text("mine")
    open_once(chosen, fresh=True)
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"
    assert read_results(tmp_path / "run").runs == ()


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("name", ["runs", "tensorboard"])
def test_folders_of_unknown_origin_are_refused(tmp_path, name, fresh):
    foreign = tmp_path / "run" / name / "lr" / "seed-0" / "weights.bin"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("mine")
    with pytest.raises(ValueError, match=rf"holds {name}, but no manifest"):
        open_once(experiment(tmp_path), fresh=fresh)
    assert foreign.read_text() == "mine"
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_manifest_of_somebody_else_is_no_reason_to_delete(tmp_path):
    foreign = tmp_path / "run" / "runs" / "lr" / "seed-0"
    foreign.mkdir(parents=True)
    (tmp_path / "run" / "manifest.json").write_text('{"icons": []}')
    with pytest.raises(ValueError, match="schema None"):
        open_once(experiment(tmp_path), fresh=True)
    assert foreign.is_dir()


def test_fresh_leaves_runs_that_are_not_in_the_manifest(tmp_path):
    chosen = experiment(tmp_path, arms=("large_batch",), epochs=1)
    compare(chosen)
    own = tmp_path / "run" / "runs" / "large_batch" / "seed-0"
    foreign = [own.with_name("seed-7"), own.parents[1] / "mine" / "seed-0"]
    for folder in foreign:
        folder.mkdir(parents=True)
    open_once(chosen, fresh=True)
    assert not own.exists()
    assert all(folder.is_dir() for folder in foreign)


def test_hints_name_the_option_of_either_command(tmp_path):
    open_once(experiment(tmp_path))
    with pytest.raises(ValueError, match=r"compare --out.*train --run-dir"):
        open_once(experiment(tmp_path, epochs=5))


def test_one_writer_at_a_time(tmp_path):
    pytest.importorskip("fcntl")
    (tmp_path / "run").mkdir()
    with (
        lock(tmp_path / "run"),
        pytest.raises(ValueError, match="Another process is writing"),
    ):
        open_once(experiment(tmp_path))
    open_once(experiment(tmp_path))


def test_damaged_manifest_is_refused(tmp_path):
    open_once(experiment(tmp_path))
    file = tmp_path / "run" / "manifest.json"
    file.write_text(file.read_text()[:100])
    with pytest.raises(ValueError, match=r"manifest\.json: it is not valid"):
        open_once(experiment(tmp_path))
    with pytest.raises(ValueError, match="that `lbreg compare` has written"):
        read_results(tmp_path)


def test_a_worker_started_unlike_the_chief(tmp_path):
    chosen = experiment(tmp_path)
    with Workspace(chosen, False, ["lr"], [0]) as workspace:
        check_like_chief(workspace.manifest, workspace.manifest, worker=1)
        config = {**workspace.manifest["config"], "epochs": 5}
        other = {**workspace.manifest, "config": config}
        with pytest.raises(ValueError, match=r"Worker 1.*epochs: 4 .*5 now"):
            check_like_chief(workspace.manifest, other, worker=1)


def test_results_from_before_there_were_strategies(tmp_path):
    chosen = experiment(tmp_path)
    with Workspace(chosen, False, ["lr"], [0]):
        pass
    file = tmp_path / "run" / "manifest.json"
    manifest = json.loads(file.read_text())
    for key in ("strategy", "devices"):
        del manifest["config"][key]
    file.write_text(json.dumps(manifest))
    with Workspace(chosen, False, ["lr"], [1]) as workspace:
        assert workspace.manifest["seeds"] == [0, 1]
