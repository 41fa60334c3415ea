"""A workload by its name, its file or its module."""

import dataclasses
import hashlib
import importlib
import importlib.util
import inspect
import os
import pathlib
import sys
import traceback

from keras_lbreg.checks import did_you_mean
from keras_lbreg.workloads.built_in import OF_DATASETS, image_set, npz
from keras_lbreg.workloads.workload import Workload

# Files whose frames a user's traceback leaves out.
OURS = (str(pathlib.Path(__file__).parents[1]) + os.sep, "<frozen importlib")
FORMS = (
    "the name of a built-in workload or of a prepared dataset, an .npz file, "
    "'train.py', 'train.py:name' or 'package.module:name'"
)
DEFAULT_NAME = "workload"


class UserCodeError(ValueError):
    """An exception that the user's own file raised while it was loaded."""

    def __init__(self, message, traceback_text=""):
        super().__init__(message)
        self.traceback_text = traceback_text


def names():
    """Names of the built-in workloads.

    Returns:
        A list of strings.
    """
    return list(OF_DATASETS)


def get_workload(spec, data_dir=None):
    """The workload that a string names.

    Args:
        spec: One of
            - `"digits"`, `"mnist"`, `"cifar10"`, `"caltech101"`,
              `"caltech101_3to1"`, or any image dataset that TensorFlow
              Datasets has prepared;
            - `"data.npz"`, see `keras_lbreg.workloads.npz`;
            - `"train.py"`, a file with a `keras_lbreg.Workload`, or a function
              without arguments that returns one, under the name `workload`;
            - `"train.py:name"`, the same under another name;
            - `"package.module:name"`, which the current folder may hold.
            The file is imported, with its folder on `sys.path`; it is not run
            as `__main__`.
        data_dir: Folder of the prepared datasets. Defaults to the environment
            variable `LBREG_DATA_DIR`, or TensorFlow Datasets' default.

    Returns:
        A `keras_lbreg.Workload`, whose `source` is `spec`.

    Raises:
        ValueError: There is no such workload, or it is none.
        UserCodeError: The file raised an exception, its `__cause__`. Its
            `traceback_text` shows where.

    Example:

    >>> get_workload("digits").regime.base_batch_size
    16

    Reference: the forms are those of MODULE:ATTRIBUTE in the Python packaging
    guide's entry points,
    https://packaging.python.org/en/latest/specifications/entry-points/
    """
    if not isinstance(spec, str) or not spec:
        raise invalid(spec, f"Expected {FORMS}.")
    path, colon, name = spec.rpartition(":")
    if not colon or spec.endswith(".py"):
        path, name = spec, DEFAULT_NAME
    if spec in OF_DATASETS:
        make = OF_DATASETS[spec]
        workload = make() if spec == "digits" else make(data_dir)
    elif spec.endswith(".npz"):
        workload = npz(spec)
    elif path.endswith(".py"):
        workload = from_module(load_file(path, spec), name, path, spec)
    elif colon:
        workload = from_module(load_module(path, spec), name, path, spec)
    elif os.path.isfile(spec + ".py"):
        raise invalid(spec, f"Did you mean {spec + '.py'!r}?")
    elif os.path.exists(spec):
        text = f"It is a folder or another file. Expected {FORMS}."
        raise invalid(spec, text)
    else:
        workload = image_set(spec, data_dir)
    return dataclasses.replace(workload, source=spec)


def load_file(path, spec):
    """Imports a Python file, from its own folder."""
    file = pathlib.Path(path).resolve()
    if not file.is_file():
        others = [str(other) for other in file.parent.glob("*.py")]
        close = did_you_mean(str(file), others)
        raise invalid(spec, f"There is no file {path!r}.{close}")
    put_on_path(file.parent)
    # A name of its own: the file may be called as a package that it imports.
    digest = hashlib.sha256(str(file).encode()).hexdigest()[:8]
    name = f"lbreg_workload_{file.stem}_{digest}".replace(".", "_")
    module_spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module
    try:
        run_user_code(path, module_spec.loader.exec_module, module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def load_module(name, spec):
    """Imports a module, also from the current folder."""
    put_on_path(pathlib.Path.cwd())
    if not all(part.isidentifier() for part in name.split(".")):
        raise invalid(spec, f"Expected {FORMS}.")
    try:
        return run_user_code(name, importlib.import_module, name)
    except UserCodeError as error:
        missing = getattr(error.__cause__, "name", None)
        is_missing = isinstance(error.__cause__, ModuleNotFoundError)
        # Not a module that the user's one imports.
        if is_missing and f"{name}.".startswith(f"{missing}."):
            raise invalid(spec, f"There is no module {name!r}.") from None
        raise


def put_on_path(folder):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def from_module(module, name, where, spec):
    """The workload of this name, made if it is a function."""
    wanted = (
        "Expected a `keras_lbreg.Workload`, or a function without arguments "
        f"that returns one, under the name {name!r} in {where}."
    )
    found = getattr(module, name, None)
    if found is None:
        own = [
            key
            for key, value in vars(module).items()
            if isinstance(value, Workload)
            or getattr(value, "__module__", None) == module.__name__
        ]
        there = f" There are: {', '.join(own)}." if own else ""
        raise invalid(spec, wanted + there + did_you_mean(name, own))
    received = "a"
    if callable(found) and not isinstance(found, type):
        if not takes_nothing(found):
            raise invalid(spec, f"{wanted} Received: one that needs arguments")
        found = run_user_code(where, found)
        received = "a function that returns a"
    if isinstance(found, Workload):
        return found
    raise invalid(spec, f"{wanted} Received: {received} {type(found).__name__}")


def takes_nothing(function):
    try:
        inspect.signature(function).bind()
    except TypeError:
        return False
    except ValueError:  # Some built-in functions have no signature.
        return True
    return True


def invalid(spec, text):
    return ValueError(
        f"Invalid value for argument `workload`: {spec!r}. {text}"
    )


def run_user_code(where, function, *args):
    """Calls it; whatever it raises becomes a `UserCodeError`."""
    try:
        return function(*args)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # SystemExit too: a file that reads its command line ends by it.
        said = f"{type(error).__name__}: {error}".partition("\n")[0]
        text = f"{where} raised {said.removesuffix(': ')}"
        raise UserCodeError(text, user_traceback(error)) from error


def user_traceback(error):
    """A traceback as Python prints it, without the frames that are ours."""
    whole = traceback.TracebackException.from_exception(error)
    left = [whole]
    while left:
        part = left.pop()
        part.stack[:] = [
            frame for frame in part.stack if not frame.filename.startswith(OURS)
        ]
        left += filter(None, (part.__cause__, part.__context__))
    return "".join(whole.format())
