"""The house rules that a linter does not know."""

import ast
import json
import pathlib
import subprocess
import sys

import keras
import pytest

import keras_lbreg

PACKAGE = pathlib.Path(keras_lbreg.__file__).parent

# Lower floors never import higher ones: cli -> experiments -> techniques ->
# {models, data, regimes} -> {layers, optimizers, distribute}.
FLOORS = [
    {"random", "warnings", "_version", "_command_line", "lazy"},
    {"layers", "optimizers", "distribute"},
    {"models", "data", "schedules", "callbacks"},
    {"techniques"},
    {"experiments"},
    {"cli"},
]
FLOOR = {name: i for i, names in enumerate(FLOORS) for name in names}

# Files that may look into private parts of Keras or TensorFlow. Each has a
# contract test of the same name under tests/.
HOOKS = {
    "layers/_stateless.py": "tests/layers/test_stateless.py",
    "models/_keras_trainer.py": "tests/models/test_keras_trainer.py",
    "models/_keras_graph.py": "tests/models/test_keras_graph.py",
    "optimizers/keras_hooks.py": "tests/optimizers/test_keras_hooks.py",
}

FILES = sorted(PACKAGE.rglob("*.py"))


def relative(path):
    return path.relative_to(PACKAGE).as_posix()


def imported_modules(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_imports_go_downwards(path):
    own = relative(path).split("/")[0].removesuffix(".py")
    if own in ("__init__", "__main__"):
        pytest.skip("the roof: re-exports everything")
    tree = ast.parse(path.read_text("utf-8"))
    for module in imported_modules(tree):
        parts = module.split(".")
        if parts[0] != "keras_lbreg" or len(parts) < 2:
            continue
        if parts[1] in FLOOR:
            assert FLOOR[parts[1]] <= FLOOR[own], f"{own} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_private_hooks_stand_in_files_of_their_own(path):
    tree = ast.parse(path.read_text("utf-8"))
    private = [
        module
        for module in imported_modules(tree)
        if module.startswith(("keras.src", "tensorflow.python", "jax._src"))
    ]
    if relative(path) in HOOKS:
        test = pathlib.Path(__file__).parents[1] / HOOKS[relative(path)]
        assert test.exists()
    else:
        assert private == []


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_library_code_has_no_assert_and_is_short(path):
    text = path.read_text("utf-8")
    found = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Assert)]
    assert found == []
    assert len(text.splitlines()) <= 350


def modules_after(statement):
    code = (
        f"{statement}; import json, sys; print(json.dumps(list(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    modules = json.loads(result.stdout.splitlines()[-1])
    return {module.split(".")[0] for module in modules}


def test_importing_the_package_is_cheap():
    # Keras itself imports matplotlib and scikit-learn where they are there.
    added = modules_after("import keras_lbreg") - modules_after("import keras")
    own = {name for name in added if name not in sys.stdlib_module_names}
    assert own == {"keras_lbreg"}


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="needs another backend"
)
def test_importing_the_package_leaves_tensorflow_alone():
    assert "tensorflow" not in modules_after("import keras_lbreg")


def test_every_public_class_is_registered_for_saving():
    public = [getattr(keras_lbreg, name) for name in keras_lbreg.__all__]
    kinds = (
        keras.Layer,
        keras.optimizers.Optimizer,
        keras.optimizers.schedules.LearningRateSchedule,
    )
    classes = [
        o for o in public if isinstance(o, type) and issubclass(o, kinds)
    ]
    assert classes
    for cls in classes:
        name = keras.saving.get_registered_name(cls)
        assert name == f"keras_lbreg>{cls.__name__}"
