"""The house rules that a linter does not know."""

import ast
import json
import pathlib
import subprocess
import sys

import keras
import pytest

import keras_lbreg
from tests.mutations import MUTATIONS

PACKAGE = pathlib.Path(keras_lbreg.__file__).parent

# Nothing lower imports anything higher: cli -> scaling -> tuning ->
# {comparison, analysis} -> training -> workloads -> techniques -> {callbacks,
# models, data, optimizers, schedules, distribute} -> {layers, random}.
FLOORS = [
    {
        "random",
        "warnings",
        "_version",
        "_tested_versions",
        "checks",
        "files",
        "metric_direction",
        "processes",
    },
    {"formatting", "plot_style", "page"},
    {"layers", "optimizers", "distribute", "schedules"},
    # The diagnostics of one model, whose loss surface and estimation of
    # statistics callbacks share with them, need nothing above.
    {"models", "data", "callbacks", "analysis"},
    {"techniques"},
    {"workloads"},
    {"training"},
    {"comparison", "analysis.saved_models", "analysis.report"},
    {"tuning"},
    {"scaling"},
    {"cli"},
]
FLOOR = {name: i for i, names in enumerate(FLOORS) for name in names}

# Files that may look into private parts of Keras or TensorFlow. Each has a
# contract test of the same name under tests/.
HOOKS = {
    "distribute/keras_issue_20585.py": (
        "tests/distribute/test_keras_issue_20585.py"
    ),
    "distribute/tensorflow_hooks.py": (
        "tests/distribute/test_tensorflow_hooks.py"
    ),
    "layers/_keras_layer.py": "tests/layers/test_keras_layer.py",
    "layers/ghost_normalize.py": "tests/layers/test_ghost_normalize.py",
    "models/_keras_graph.py": "tests/models/test_keras_graph.py",
    "models/_keras_trainer.py": "tests/models/test_keras_trainer.py",
    "optimizers/coupled_weight_decay.py": (
        "tests/optimizers/test_coupled_weight_decay.py"
    ),
    "optimizers/loss_scale_optimizer.py": (
        "tests/optimizers/test_loss_scale_optimizer.py"
    ),
    "optimizers/reduced_gradient.py": (
        "tests/optimizers/test_reduced_gradient.py"
    ),
    "tuning/hyper_model.py": "tests/tuning/test_hyper_model.py",
    "tuning/resumable.py": "tests/tuning/test_resumable.py",
    "tuning/workers.py": "tests/tuning/test_tune.py",
}

FILES = sorted(PACKAGE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text("utf-8")) for path in FILES}


def relative(path):
    return path.relative_to(PACKAGE).as_posix()


def imported_modules(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def floor_name(module):
    """`"a.b"` of a module `"a.b.c"` if it has a floor of its own, or `"a"`."""
    two = ".".join(module.split(".")[:2])
    return two if two in FLOOR else module.split(".")[0]


def test_imports_go_downwards():
    upward = []
    for path in FILES:
        own = floor_name(relative(path).removesuffix(".py").replace("/", "."))
        if own in ("__init__", "__main__"):
            continue  # The roof: it re-exports everything.
        for module in imported_modules(TREES[path]):
            package, _, rest = module.partition(".")
            floor = FLOOR.get(floor_name(rest))
            if package != "keras_lbreg" or floor is None:
                continue
            if floor > FLOOR[own]:
                upward.append((relative(path), module))
    assert upward == []


PRIVATE_MODULES = (
    "keras.src",
    "keras_tuner.src",
    "tensorflow.python",
    "jax._src",
)


def private_parts(tree):
    """Private modules imported, and private attributes of other objects."""
    for module in imported_modules(tree):
        if module.startswith(PRIVATE_MODULES):
            yield module
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and node.attr.startswith("_")
            and not node.attr.startswith("__")
            and ast.unparse(node.value) not in ("self", "cls")
        ):
            yield ast.unparse(node)


def test_private_hooks_stand_in_files_of_their_own():
    outside = {
        relative(path): found
        for path in FILES
        if relative(path) not in HOOKS
        and (found := list(private_parts(TREES[path])))
    }
    assert outside == {}


def test_every_hook_has_a_contract_test():
    for hook, test in HOOKS.items():
        assert (PACKAGE / hook).exists()
        text = (pathlib.Path(__file__).parents[1] / test).read_text("utf-8")
        assert "def test_" in text, test


def test_library_code_has_no_assert():
    found = [
        relative(path)
        for path, tree in TREES.items()
        if any(isinstance(node, ast.Assert) for node in ast.walk(tree))
    ]
    assert found == []


IMPORTED = """
import json, sys, keras
before = {*sys.modules}
import keras_lbreg
print(json.dumps([*{*sys.modules} - before]))
"""


def test_importing_the_package_is_cheap():
    """Keras itself imports matplotlib and scikit-learn where they are there."""
    result = subprocess.run(
        [sys.executable, "-c", IMPORTED],
        capture_output=True,
        text=True,
        check=True,
    )
    added = json.loads(result.stdout.splitlines()[-1])
    names = {name.split(".")[0] for name in added} - {*sys.stdlib_module_names}
    assert {name for name in names if name != "keras"} == {"keras_lbreg"}


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


def test_the_tests_of_a_module_run_in_one_process(request):
    """pytest 9.2 with pytest-xdist 3.8 silently spreads them."""
    if not request.config.getoption("loadgroup", False):
        pytest.skip("without --dist loadgroup")
    assert request.node.nodeid.endswith(f"@{__name__}")


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.name)
def test_mutations_break_what_there_is(mutation):
    """The list of `tests/mutations.py` fits the package and its tests."""
    text = (PACKAGE / mutation.file).read_text("utf-8")
    assert text.count(mutation.old) == 1
    path, _, test = mutation.test.partition("::")
    tests = (pathlib.Path(__file__).parent / path).read_text("utf-8")
    assert f"def {test}(" in tests
