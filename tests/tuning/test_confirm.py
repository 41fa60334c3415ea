import re
import sys

import pytest

import keras_lbreg as lbreg
from keras_lbreg.files import read_json, write_json
from keras_lbreg.tuning import confirm, read_best
from tests.tuning.small_network import small_data, small_network

WINNER = lbreg.Arm(
    "Trial",
    {"lr_scaling": {"rule": "linear"}, "dreg": {"weight": 0.5, "layer": -1}},
    batch_size=16,
    learning_rate_factor=2.0,
)


def make_workload():
    return lbreg.Workload(
        small_network,
        small_data(),
        small_data(16, seed=1),
        lbreg.Regime(4, 0.1, epochs=1),
        source="train.py:workload",
    )


@pytest.fixture
def best(tmp_path):
    path = tmp_path / "best.json"
    confirm.write_best(path, WINNER, make_workload(), "search/trial_3", "3")
    return path


def test_the_winner_is_read_as_it_was_written(best):
    arm, found = read_best(best)
    assert arm.techniques == WINNER.techniques
    assert arm.learning_rate_factor == 2.0
    assert (arm.name, arm.batch_size, arm.control) == ("tuned", "large", "lr")
    assert found["workload"] == "train.py:workload"
    assert [found[name] for name in confirm.NUMBERS] == [16, 4, 1]


def changed(path, *keys, value):
    content = read_json(path)
    place = content
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    write_json(path, content)


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("arm",), 3, "an object as `arm`"),
        (("arm", "title"), "", "`title`"),
        (("arm", "techniques"), ["dreg"], "an object as `arm.techniques`"),
        (("arm", "techniques", "drog"), {}, "drog"),
        (("arm", "techniques", "dreg", "wait"), 1, "wait"),
        (("arm", "techniques", "dreg", "weight"), "much", "dreg.weight"),
        (("arm", "batchsize"), 3, "no other keys of `arm`.*batchsize"),
        (("arm", "learning_rate_factor"), -1, "learning_rate_factor"),
        (("batch_size",), 2.5, "`batch_size`"),
        (("epochs",), 0, "`epochs`"),
        (("small_batch_size",), 16, "a `batch_size` above"),
        (("workload",), 7, "a text as `workload`"),
        (("surprise",), 7, "others, surprise"),
    ],
)
def test_mistakes_in_the_file_are_named(keys, value, message, best):
    changed(best, *keys, value=value)
    with pytest.raises(ValueError, match=f"(?s){re.escape(str(best))}.*") as e:
        read_best(best)
    assert re.search(message, str(e.value)), e.value


@pytest.mark.parametrize(
    ("content", "message"),
    [("{}", "none named arm"), ("[]", "JSON object"), ("{", "not valid JSON")],
)
def test_other_files_are_refused(content, message, best):
    best.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_best(best)


@pytest.mark.parametrize("control", ["none", "found", "itself"])
def test_arms_of_the_comparison(control, tmp_path, monkeypatch):
    seen = {}
    # The package's attribute of this name is the function.
    module = sys.modules["keras_lbreg.comparison.compare"]
    monkeypatch.setattr(module, "compare", lambda _, **own: seen.update(own))
    scaling = lbreg.Arm("Trial", ["lr_scaling"], 16, 3.0)
    confirm.confirm(
        make_workload(),
        scaling if control == "itself" else WINNER,
        None if control == "none" else scaling,
        tmp_path,
        2,
    )
    small, large, rate, tuned = seen["arms"]
    assert (small, large) == ("small_batch", "large_batch")
    assert seen["first_seed"] == 1000
    if control == "found":
        assert (rate.name, rate.learning_rate_factor) == ("lr_tuned", 3.0)
        assert tuned.control == "lr_tuned"
    else:
        assert (rate, tuned.control) == ("lr", "lr")


def test_another_winner_is_trained_anew(tmp_path):
    workload = make_workload()
    arguments = {"progress": False, "report": False}
    kept = []
    for factor in (2.0, 2.0, 4.0):
        arm = lbreg.Arm("Trial", ["lr_scaling"], 16, factor)
        results = confirm.confirm(workload, arm, None, tmp_path, 1, **arguments)
        kept.append({x.arm: repr(x) for x in results.runs})
        assert {run.status for run in results.runs} == {"finished"}
    assert kept[0] == kept[1]
    same = {name for name in kept[0] if kept[0][name] == kept[2][name]}
    assert same == {"small_batch", "large_batch", "lr"}
