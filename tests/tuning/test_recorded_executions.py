import pytest

from keras_lbreg.tuning.recorded_executions import (
    read_executions,
    record_execution,
)


def test_executions_are_kept_and_begun_anew(tmp_path):
    record_execution(tmp_path, 0, 7, {"val_loss": 1.0})
    record_execution(tmp_path, 1, 8, {"val_loss": 2.0})
    assert read_executions(tmp_path) == [
        {"seed": 7, "metrics": {"val_loss": 1.0}},
        {"seed": 8, "metrics": {"val_loss": 2.0}},
    ]
    # A trial that is tried again.
    record_execution(tmp_path, 0, 7, {"val_loss": 3.0})
    assert read_executions(tmp_path) == [
        {"seed": 7, "metrics": {"val_loss": 3.0}}
    ]


def test_a_folder_of_another_hypermodel(tmp_path):
    with pytest.raises(ValueError, match=r"Received: no executions\.json"):
        read_executions(tmp_path)
