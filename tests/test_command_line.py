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
        ["python.exe", "C:/venv/Scripts/lbreg.exe", "compare"],
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
        ["python", "lbreg.py"],
        ["python", "/home/me/lbreg.py", "compare"],
        ["python", "-m", "pytest", "lbreg"],
        ["python", "-c", "import keras_lbreg", "lbreg"],
        ["python", "-W", "error"],
    ],
)
def test_a_program_that_imports_the_package_is_not(argv):
    assert not is_command_line(argv)


def test_a_folder_with_a_main_program_is_not(tmp_path):
    (tmp_path / "lbreg").mkdir()
    assert not is_command_line(["python", str(tmp_path / "lbreg")])


def test_a_script_named_lbreg_gets_the_whole_package(tmp_path):
    script = tmp_path / "lbreg.py"
    script.write_text("import keras_lbreg\nprint(keras_lbreg.GradientMix)")
    result = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True
    )
    assert "GradientMix" in result.stdout, result.stderr


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
