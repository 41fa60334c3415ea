import json
import sys

import keras

from keras_lbreg.experiments.environment import environment, git_commit


def test_environment_can_be_written_and_names_what_ran():
    found = environment()
    assert json.loads(json.dumps(found)) == found
    assert found["backend"] == keras.backend.backend()
    assert found["versions"]["keras"] == keras.__version__
    major, minor = sys.version_info[:2]
    assert found["versions"]["python"].startswith(f"{major}.{minor}.")
    assert found["device"].strip()
    # tests/conftest.py divides the processor.
    assert found["virtual_devices"] == 8


def test_git_commit_without_git(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert git_commit() is None
