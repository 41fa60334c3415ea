import sys
import textwrap

import numpy as np
import pytest

from keras_lbreg.workloads import Workload, get_workload, names
from keras_lbreg.workloads.get_workload import UserCodeError

FILE = """
    import keras
    import numpy as np
    import keras_lbreg as lbreg
    from helper_of_the_file import samples

    def build_model():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile("adam", "mse")
        return model

    def make_workload():
        return lbreg.Workload(
            build_model,
            samples(),
            samples(),
            lbreg.Regime(4, 1e-3, epochs=1),
        )

    def needs(batch_size):
        return make_workload()

    def raises():
        raise RuntimeError("no data here")

    workload = make_workload()
    other = make_workload
    number = 3
    nothing = lambda: 3
    assert __name__ != "__main__"
"""
HELPER = """
    import numpy as np

    def samples():
        return np.zeros((8, 4)), np.zeros((8, 1))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    write(tmp_path / "train.py", FILE)
    write(tmp_path / "helper_of_the_file.py", HELPER)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def write(path, text):
    path.write_text(textwrap.dedent(text))
    return path


def message(spec):
    with pytest.raises(ValueError, match=r"\A[^\n]*\Z") as caught:
        get_workload(spec)
    assert not isinstance(caught.value, UserCodeError)
    return str(caught.value)


def test_a_built_in_workload_has_its_name():
    workload = get_workload("digits")
    assert workload.source == workload.name == "digits"
    assert workload.batch_size == 512
    assert names()[0] == "digits"


@pytest.mark.parametrize("name", ["", ":workload", ":other", ":make_workload"])
def test_a_file(folder, name):
    spec = f"{folder / 'train.py'}{name}"
    workload = get_workload(spec)
    assert isinstance(workload, Workload)
    assert workload.source == spec
    assert workload.train_data[0].shape == (8, 4)


def test_a_module_of_the_current_folder(folder, monkeypatch):
    (folder / "my_package").mkdir()
    write(folder / "my_package" / "module.py", FILE)
    monkeypatch.chdir(folder)
    workload = get_workload("my_package.module:make_workload")
    assert workload.source == "my_package.module:make_workload"
    assert get_workload("train.py").source == "train.py"


def test_a_file_that_was_changed_is_read_again(folder):
    spec = str(folder / "train.py")
    first = get_workload(spec)
    write(folder / "train.py", FILE.replace("Regime(4,", "Regime(32,"))
    assert first.regime.base_batch_size == 4
    assert get_workload(spec).regime.base_batch_size == 32


def test_a_file_called_like_a_package_it_imports(folder):
    write(folder / "numpy.py", FILE)
    # Its folder comes first from now on, but NumPy is there already.
    assert get_workload(str(folder / "numpy.py")).name == "model"
    assert sys.modules["numpy"] is np


def test_an_npz_file(tmp_path):
    x, y = np.zeros((8, 3)), np.arange(8) % 2
    path = str(tmp_path / "a.npz")
    np.savez(path, x_train=x, y_train=y, x_val=x, y_val=y)
    assert get_workload(path).source == path


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        (
            "train.py:wrkload",
            ["the name 'wrkload' in train.py", "Did you mean 'workload'?"],
        ),
        ("train.py:number", ["Received: a int"]),
        ("train.py:nothing", ["Received: a function that returns a int"]),
        ("train.py:needs", ["one that needs arguments"]),
        (
            "helper_of_the_file.py",
            ["under the name 'workload'", "There are: samples."],
        ),
        ("trian.py", ["no file 'trian.py'", "Did you mean", "train.py'?"]),
        ("train", ["Did you mean 'train.py'?"]),
        ("train.py:", ["under the name ''", "There are: build_model"]),
        (".", ["It is a folder"]),
        ("no_such_package.module:x", ["no module 'no_such_package.module'"]),
        ("no-module:x", ["'package.module:name'"]),
        ("digts", ["Did you mean 'digits'?"]),
        ("nowhere.npz", ["an .npz file that exists"]),
        ("", ["the name of a built-in workload"]),
        (3, ["the name of a built-in workload"]),
    ],
)
def test_what_cannot_be_loaded_is_said_in_one_line(
    folder, monkeypatch, spec, parts
):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LBREG_DATA_DIR", str(folder))
    said = message(spec)
    for part in parts:
        assert part in said


BROKEN = {
    "raises.py": ("import helper_of_the_file\n1 / 0\n", ZeroDivisionError),
    "syntax.py": ("x = 1\ndef f(:\n", SyntaxError),
    "missing.py": ("import no_such_module_here\n", ModuleNotFoundError),
    "exits.py": ("import sys\nsys.exit(3)\n", SystemExit),
    "refused.py": (
        "import keras_lbreg as lbreg\nr = lbreg.Regime(0, 1, 1)\n",
        ValueError,
    ),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_an_error_in_the_file_has_its_own_traceback(folder, name):
    text, kind = BROKEN[name]
    write(folder / name, text)
    with pytest.raises(UserCodeError, match=name) as caught:
        get_workload(str(folder / name))
    assert type(caught.value.__cause__) is kind
    shown = caught.value.traceback_text
    assert f"{name}" in shown
    assert "line 2" in shown or name == "missing.py"
    assert kind.__name__ in shown
    assert "get_workload" not in shown
    assert "importlib" not in shown
    assert "keras_lbreg/" not in shown


def test_an_error_in_a_function_of_the_file(folder):
    with pytest.raises(UserCodeError, match="RuntimeError: no data here"):
        get_workload(f"{folder / 'train.py'}:raises")


def test_an_import_error_inside_a_module_is_the_users(folder, monkeypatch):
    write(folder / "broken.py", "import no_such_module_here\n")
    monkeypatch.chdir(folder)
    with pytest.raises(UserCodeError, match="no_such_module_here"):
        get_workload("broken:x")
