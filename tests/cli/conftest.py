"""The commands in this process, and a workload that a user has written."""

import dataclasses

import pytest
from typer.testing import CliRunner

from keras_lbreg.cli.app import app


@dataclasses.dataclass
class Ended:
    """How a command ended: exit code, and text without frames."""

    exit_code: int
    text: str
    exception: BaseException | None


@pytest.fixture
def lbreg(tmp_path, monkeypatch):
    """Runs `lbreg` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "500")
    return run


def run(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    text = " ".join(result.output.replace("│", " ").split())
    assert "Traceback" not in text
    return Ended(result.exit_code, text, result.exception)


@pytest.fixture(scope="session")
def train_py(tmp_path_factory):
    """What `lbreg new` writes."""
    file = tmp_path_factory.mktemp("new") / "train.py"
    assert run("new", file).exit_code == 0
    return file
