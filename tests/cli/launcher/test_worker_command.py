import sys

import pytest

from keras_lbreg.cli.launcher.worker_command import (
    command_to_go_on,
    worker_command,
)

COMMANDS = ["compare", "train"]
MODULE = [sys.executable, "-m", "keras_lbreg"]


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["train", "digits", "--arm", "lr"], [*MODULE, "train"]),
        (["lbreg", "train", "digits", "--arm", "lr"], [*MODULE, "train"]),
        (["fit.py", "digits", "--arm", "lr"], [sys.executable, "fit.py"]),
        (["sh", "digits", "--arm", "lr"], ["/bin/sh"]),
        (["/bin/sh", "digits", "--arm", "lr"], ["/bin/sh"]),
    ],
    ids=lambda words: words[0],
)
def test_commands(tmp_path, monkeypatch, words, command):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/bin")
    (tmp_path / "fit.py").write_text("")
    expected = [*command, "digits", "--arm", "lr"]
    assert worker_command(words, COMMANDS) == expected


@pytest.mark.parametrize("word", ["trian", "missing.py", "./no/such", ""])
def test_what_cannot_be_started(tmp_path, monkeypatch, word):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"\(compare, train\)") as error:
        worker_command([word, "digits"], COMMANDS)
    assert ("Did you mean `train`?" in str(error.value)) == (word == "trian")


@pytest.mark.parametrize(
    ("command", "second"),
    [
        ([*MODULE, "train", "--fresh"], [*MODULE, "train"]),
        ([*MODULE, "train"], [*MODULE, "train"]),
        (["./fit", "--fresh"], ["./fit", "--fresh"]),
    ],
)
def test_a_second_start_deletes_nothing(command, second):
    assert command_to_go_on(command) == second
