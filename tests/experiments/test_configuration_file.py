import json

import pytest

from keras_lbreg.experiments.configuration_file import (
    ConfigurationFile,
    read_configuration,
    write_configuration,
)

FOUND = ConfigurationFile(
    dataset="digits",
    batch_size=512,
    small_batch_size=16,
    epochs=20,
    techniques={
        "lr_scaling": {"rule": "linear", "warmup_epochs": 2},
        "dreg": {"weight": 0.02, "max_distance": None},
    },
    learning_rate_factor=1.3,
    origin={"trial": "007"},
)


def test_a_file_reads_back(tmp_path):
    path = tmp_path / "made" / "best.json"
    write_configuration(path, FOUND)
    assert read_configuration(path) == FOUND
    assert json.loads(path.read_text())["schema"] == 1


def test_what_may_be_left_out(tmp_path):
    path = tmp_path / "best.json"
    content = {
        "schema": 1,
        "dataset": "digits",
        "batch_size": 512,
        "small_batch_size": 16,
        "epochs": 20,
        "learning_rate_factor": 1,
        "techniques": {},
    }
    path.write_text(json.dumps(content))
    assert read_configuration(path).origin == {}


def test_the_arm_holds_it_all():
    arm = FOUND.arm()
    assert (arm.name, arm.title, arm.group) == ("tuned", "Tuned", "tuned")
    assert arm.batch == "large"
    assert arm.techniques == ("lr_scaling", "dreg")
    assert arm.learning_rate_factor == 1.3
    assert arm.hyperparameters["dreg"]["weight"] == 0.02


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, "schema 2, this version reads 1"),
        ({"batch_size": "512"}, "an integer as best.batch_size"),
        ({"techniques": []}, "an object as best.techniques"),
        ({"learning_rate_factor": -1}, r"`learning_rate_factor`.*above 0"),
        ({"batchsize": 512}, r"no other keys.*\['batchsize'\]"),
        ({"techniques": {"drag": {}}}, "Expected one of.*'drag'"),
        ({"techniques": {"dreg": {"wait": 1}}}, r"\['wait'\]"),
    ],
)
def test_another_content_is_refused(tmp_path, changes, message):
    path = tmp_path / "best.json"
    write_configuration(path, FOUND)
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message) as raised:
        read_configuration(path)
    assert str(path) in str(raised.value)


def test_a_key_that_is_missing_is_named(tmp_path):
    path = tmp_path / "best.json"
    path.write_text('{"schema": 1, "dataset": "digits"}')
    with pytest.raises(ValueError, match=r"best\.batch_size is missing"):
        read_configuration(path)
    with pytest.raises(OSError, match="nowhere"):
        read_configuration(tmp_path / "nowhere.json")
