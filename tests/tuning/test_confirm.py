import re

import pytest

import keras_lbreg as lbreg
from keras_lbreg.comparison.statistics import Stat
from keras_lbreg.files import read_json, write_json
from keras_lbreg.tuning import confirm, read_best, report
from keras_lbreg.tuning.space import make_space
from tests.tuning.small_network import small_data, small_network

SPACE = make_space(small_network(), 4, [16, 32], always=["lr_scaling"])
WORKLOAD = lbreg.Workload(
    small_network,
    small_data(),
    small_data(16, seed=1),
    lbreg.Regime(4, 0.1, epochs=1),
    source="train.py:workload",
)


def trial(trial_id, score, batch_size=16, factor=1.0, **values):
    values |= {"batch_size": batch_size, "learning_rate_factor": factor}
    values |= {"lr_scaling.rule": "linear"}
    stat = Stat(score, 0.1, 2)
    return report.TrialRecord(trial_id, "completed", values, stat, 1.0)


def result(path, *trials):
    manifest = {"workload": {"direction": "max"}}
    return report.TuneResult(path, manifest, trials)


@pytest.fixture
def best(tmp_path):
    path = tmp_path / "best.json"
    values = {"dreg": True, "dreg.weight": 0.5, "dreg.layer": -1}
    winner = trial("3", 0.9, factor=2.0, **values)
    confirm.write_best(path, SPACE, winner, WORKLOAD)
    return path


def test_the_winner_is_read_as_it_was_written(best):
    arm, found = read_best(best)
    assert arm.techniques == {
        "lr_scaling": {"rule": "linear"},
        "dreg": {"weight": 0.5, "layer": -1},
    }
    assert arm.learning_rate_factor == 2.0
    assert (arm.name, arm.batch_size, arm.control) == ("tuned", "large", "lr")
    assert found["workload"] == "train.py:workload"
    assert [found[name] for name in confirm.NUMBERS] == [16, 4, 1]


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("arm",), 3, "must be a mapping"),
        (("arm", "techniques", "drog"), {}, "drog"),
        (("arm", "techniques", "dreg", "wait"), 1, "wait"),
        (("arm", "techniques", "dreg", "weight"), "much", "dreg.weight"),
        (("arm", "batchsize"), 3, "batchsize"),
        (("arm",), None, "no 'arm'"),
    ],
)
def test_mistakes_in_the_file_are_named(keys, value, message, best):
    content = place = read_json(best)
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    if value is None:
        del place[keys[-1]]
    write_json(best, content)
    with pytest.raises(ValueError, match=re.escape(str(best))) as error:
        read_best(best)
    assert re.search(message, str(error.value)), error.value


DREG = trial("1", 0.9, dreg=True)
ELSEWHERE = trial("2", 0.8, batch_size=32)
RATE = trial("3", 0.7, factor=3.0)


@pytest.mark.parametrize(
    ("trials", "names", "control"),
    [
        ([DREG, ELSEWHERE, RATE], ["trial_3", "trial_1"], "trial_3"),
        ([DREG, ELSEWHERE], ["lr", "trial_1"], "lr"),
        # The winner is a control.
        ([RATE], ["lr", "trial_3"], "lr"),
    ],
)
def test_arms_of_the_comparison(trials, names, control, tmp_path):
    progress = {"progress": False, "report": False}
    confirm.confirm(WORKLOAD, SPACE, result(tmp_path, *trials), 1, **progress)
    manifest = read_json(tmp_path / "confirm-16" / "manifest.json")
    assert manifest["seeds"] == [1000]
    small, large, rival, tuned = manifest["arms"]
    assert [small["name"], large["name"]] == ["small_batch", "large_batch"]
    assert [rival["name"], tuned["name"]] == names
    assert tuned["control"] == control
    if rival["name"] == "trial_3":
        assert rival["learning_rate_factor"] == 3.0
        assert (rival["group"], rival["control"]) == ("control", "large_batch")


def test_a_former_winner_stays(tmp_path):
    runs = []
    for trials in ([RATE], [RATE], [trial("4", 0.8, factor=2.0), RATE]):
        confirm.confirm(
            WORKLOAD,
            SPACE,
            result(tmp_path, *trials),
            1,
            progress=False,
            report=False,
        )
        found = lbreg.comparison.read_results(tmp_path / "confirm-16")
        assert {run.status for run in found.runs} == {"finished"}
        runs.append({run.arm: run.epochs for run in found.runs})
    assert runs[0] == runs[1]
    assert runs[0].items() <= runs[2].items()
    assert runs[2].keys() - runs[0].keys() == {"trial_4"}
