"""`keras_lbreg` is imported without Keras by the `lbreg` command alone."""

import subprocess
import sys

import pytest

from keras_lbreg._command_line import is_command_line


@pytest.mark.parametrize(
    "argv",
    [
        ["python", "/usr/local/bin/lbreg", "compare", "digits"],
        ["python", "-I", "/venv/bin/lbreg"],
        ["python", "-m", "keras_lbreg", "report", "runs/digits"],
        ["python", "-W", "error", "-m", "keras_lbreg.cli", "--help"],
    ],
)
def test_the_command_is_recognised(argv):
    assert is_command_line(argv)


@pytest.mark.parametrize(
    "argv",
    [
        ["python"],
        ["python", "train.py", "-m", "keras_lbreg"],
        ["python", "-m", "pytest", "lbreg"],
        ["python", "-c", "import keras_lbreg", "lbreg"],
        ["python", "-W", "error"],
    ],
)
def test_a_program_that_imports_the_package_is_not(argv):
    assert not is_command_line(argv)


def test_the_command_leaves_keras_alone_until_it_is_needed():
    code = (
        "import sys; sys.orig_argv = ['python', '-m', 'keras_lbreg'];"
        "import keras_lbreg.cli.app;"
        "print([m for m in ('keras', 'tensorflow', 'jax', 'matplotlib')"
        " if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert result.stdout.strip() == "[]", result.stderr
