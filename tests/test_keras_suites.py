"""Keras's own tests with this package's classes in the place of Keras's.

Keras ships its tests in its wheel (`keras/src/**/*_test.py`). Each suite is
executed from its source in a module of its own, in which the names imported
from Keras are ours: `layers.Dense` is a `DRegDense`, `SGD(...)` makes a
`ReducedGradient(SGD(...))`. Nothing in Keras itself is replaced, except
`optimizers.get`, so that `compile("sgd")` makes a wrapped optimizer too.

Tests that cannot pass are listed in `BY_DESIGN` with the reason; one that is
listed and passes is an error. A test that fails with Keras's own classes as
well is not counted against ours.

`python -m tests.test_keras_suites` prints the table of all suites.
"""

import builtins
import contextlib
import dataclasses
import fnmatch
import importlib.util
import pathlib
import sys
import traceback
import types
import unittest
import warnings

import keras
import pytest
from keras.src import testing
from keras.src.utils import io_utils

import keras_lbreg as lbreg

TENSORFLOW = keras.backend.backend() == "tensorflow"

LORA = "DReg refuses LoRA, which freezes the kernels that it trains"
QUANTIZED = "DReg refuses quantization: its two kernels are trained"
RENORM = "ghost batch norm refuses renorm, which undoes what ghosts are for"
INNER = "the attribute, the slots or the name are the inner optimizer's"


class PlainWeights:
    """A DReg layer that also takes the weights of Keras's layer."""

    def set_weights(self, weights):
        plain = [v for v in self.weights if v.name in ("kernel", "bias")]
        if len(weights) != len(plain):
            super().set_weights(weights)
            return
        for variable, value in zip(plain, weights, strict=True):
            variable.assign(value)


@keras.saving.register_keras_serializable(package="keras_suites")
class DRegConv2D(PlainWeights, lbreg.DRegConv2D):
    """Instead of `keras.layers.Conv2D`."""


@keras.saving.register_keras_serializable(package="keras_suites")
class DRegDepthwiseConv2D(PlainWeights, lbreg.DRegDepthwiseConv2D):
    """Instead of `keras.layers.DepthwiseConv2D`."""


@keras.saving.register_keras_serializable(package="keras_suites")
class DRegDense(PlainWeights, lbreg.DRegDense):
    """Instead of `keras.layers.Dense`."""


@keras.saving.register_keras_serializable(package="keras_suites")
class OneGhost(lbreg.GhostBatchNormalization):
    """Instead of `BatchNormalization`: every batch is one ghost batch."""

    def __init__(self, *args, ghost_batch_size=10**6, **kwargs):
        super().__init__(*args, ghost_batch_size=ghost_batch_size, **kwargs)


LAYERS = {
    keras.layers.Conv2D: DRegConv2D,
    keras.layers.DepthwiseConv2D: DRegDepthwiseConv2D,
    keras.layers.Dense: DRegDense,
    keras.layers.BatchNormalization: OneGhost,
}
OF_KERAS = {ours: theirs for theirs, ours in LAYERS.items()}


def with_more_weights(base):
    """Keras's `testing.TestCase`, knowing that DReg layers have more weights.

    A DReg layer has the weights of Keras's layer, and a second kernel with
    the same regularizer, and state of its own: `run_layer_test` expects as
    many more as a layer that was just built has.
    """

    class TestCase(base):
        def run_layer_test(self, layer_cls, init_kwargs, **kwargs):
            shape = kwargs.get("input_shape")
            if issubclass(layer_cls, PlainWeights) and shape is not None:
                ours = layer_cls(**init_kwargs)
                theirs = OF_KERAS[layer_cls](**init_kwargs)
                for layer in (ours, theirs):
                    layer.build(shape)
                for kind in ("trainable_weights", "non_trainable_weights"):
                    more = len(getattr(ours, kind)) - len(getattr(theirs, kind))
                    if kwargs.get(f"expected_num_{kind}") is not None:
                        kwargs[f"expected_num_{kind}"] += more
                if kwargs.get("expected_num_losses"):
                    kwargs["expected_num_losses"] += (
                        init_kwargs.get("kernel_regularizer") is not None
                    )
            super().run_layer_test(layer_cls, init_kwargs, **kwargs)

    return TestCase


class Wrapped:
    """Instead of an optimizer class: makes wrapped optimizers."""

    def __init__(self, optimizer_class):
        self.optimizer_class = optimizer_class

    def __call__(self, *args, **kwargs):
        return lbreg.ReducedGradient(self.optimizer_class(*args, **kwargs))

    def __instancecheck__(self, instance):
        return isinstance(instance, lbreg.ReducedGradient) and isinstance(
            instance.inner_optimizer, self.optimizer_class
        )


class WithInner:
    """Instead of `LossScaleOptimizer`: any optimizer with an inner one."""

    def __call__(self, *args, **kwargs):
        return keras.optimizers.LossScaleOptimizer(*args, **kwargs)

    def __instancecheck__(self, instance):
        return hasattr(instance, "inner_optimizer")


OPTIMIZERS = {
    optimizer: Wrapped(optimizer)
    for optimizer in vars(keras.optimizers).values()
    if isinstance(optimizer, type)
    and issubclass(optimizer, keras.optimizers.Optimizer)
    and optimizer
    not in (
        keras.optimizers.Optimizer,
        keras.optimizers.LossScaleOptimizer,
        keras.optimizers.MultiOptimizer,
    )
}


@contextlib.contextmanager
def wrapped_by_name():
    """`compile("sgd")` makes a `ReducedGradient(SGD())`."""
    optimizers = sys.modules["keras.src.optimizers"]
    get = optimizers.get

    def get_wrapped(identifier):
        optimizer = get(identifier)
        plain = isinstance(identifier, str) or (
            isinstance(identifier, dict) and "module" not in identifier
        )
        return lbreg.ReducedGradient(optimizer) if plain else optimizer

    optimizers.get = get_wrapped
    try:
        yield
    finally:
        optimizers.get = get


@dataclasses.dataclass
class Suite:
    """A test module of Keras and what stands in it for Keras's classes."""

    module: str
    classes: dict
    wrap_by_name: bool = False
    tensorflow: bool = False
    skip: tuple = ()


def scaled():
    """Our `LossScaleOptimizer` for Keras's, where the package has one."""
    ours = getattr(lbreg.optimizers, "LossScaleOptimizer", None)
    return ours and {keras.optimizers.LossScaleOptimizer: ours}


def optimizer_suite(name, module=None, **kwargs):
    module = module or f"optimizers.{name}_test"
    return Suite(module, OPTIMIZERS, wrap_by_name=True, **kwargs)


NOT_RUN = (
    # It forks a process in which TensorFlow's threads are at work, and hangs.
    "SavingTest.test_load_model_concurrently",
    # A large network of Keras's, which imports nothing of ours.
    "SavingTest.test_weights_sharding_efficientnet_b0_10",
    "SavingTest.test_weights_sharding_efficientnet_b0_512",
)

SUITES = {
    "conv": Suite("layers.convolutional.conv_test", LAYERS),
    "depthwise_conv": Suite("layers.convolutional.depthwise_conv_test", LAYERS),
    "dense": Suite("layers.core.dense_test", LAYERS),
    "batch_normalization": Suite(
        "layers.normalization.batch_normalization_test",
        {keras.layers.BatchNormalization: OneGhost},
    ),
    **{
        name: optimizer_suite(name)
        for name in ("sgd", "adam", "adamw", "nadam", "lion", "lamb")
    },
    "optimizer": optimizer_suite("optimizer"),
    "optimizer_sparse": dataclasses.replace(
        optimizer_suite("optimizer_sparse"),
        classes={
            **OPTIMIZERS,
            keras.optimizers.LossScaleOptimizer: WithInner(),
        },
    ),
    "optimizer_distribute": optimizer_suite(
        "optimizer_distribute",
        "backend.tensorflow.optimizer_distribute_test",
        tensorflow=True,
    ),
    "loss_scale_optimizer": Suite(
        "optimizers.loss_scale_optimizer_test", scaled()
    ),
    "loss_scale_optimizer, wrapped inside": optimizer_suite(
        "loss_scale_optimizer"
    ),
    "backup_and_restore, layers": Suite(
        "callbacks.backup_and_restore_test", LAYERS
    ),
    "backup_and_restore, optimizer": optimizer_suite(
        "backup_and_restore", "callbacks.backup_and_restore_test"
    ),
    "reduce_lr_on_plateau": optimizer_suite(
        "reduce_lr_on_plateau", "callbacks.reduce_lr_on_plateau_test"
    ),
    "swap_ema_weights": optimizer_suite(
        "swap_ema_weights", "callbacks.swap_ema_weights_test", tensorflow=True
    ),
    "saving_lib, layers": Suite("saving.saving_lib_test", LAYERS, skip=NOT_RUN),
    "saving_lib, optimizer": optimizer_suite(
        "saving_lib", "saving.saving_lib_test", skip=NOT_RUN
    ),
}

# By suite, from patterns of names to reasons. Every test that a pattern
# matches has to fail, and every pattern has to match one.
BY_DESIGN = {
    "conv": {
        "ConvBasicTest.test_enable_lora_conv2d_*": LORA,
        "ConvBasicTest.test_enable_lora_with_alpha": LORA,
        "ConvBasicTest.test_lora_*": LORA,
    },
    "dense": {
        "DenseTest.*lora*": LORA,
        "DenseTest.*custom_quantizer": QUANTIZED,
        "DenseTest.test_awq_*": QUANTIZED,
        "DenseTest.test_dense_int8_weight_only_quantizer": QUANTIZED,
        "DenseTest.test_dense_quantize_config_*": QUANTIZED,
        "DenseTest.test_gptq_*": QUANTIZED,
        "DenseTest.test_int4_*": QUANTIZED,
        "DenseTest.test_quantize_by_setting_dtype_policy_*": QUANTIZED,
        "DenseTest.test_quantize_dtype_argument_*": QUANTIZED,
        "DenseTest.test_quantize_float8*": QUANTIZED,
        "DenseTest.test_quantize_int_*": QUANTIZED,
        "DenseTest.test_quantize_on_subclass_*": QUANTIZED,
        "DenseTest.test_quantize_when_already_quantized_*": QUANTIZED,
        "DenseTest.test_legacy_load_own_variables": (
            "a DReg layer has more variables than the store of a Dense layer"
        ),
        # Its values are compared before the type of the gradient.
        "DenseTest.test_dense_sparse": (
            "the kernel's gradient is dense: so is the penalty's"
        ),
    },
    "batch_normalization": {
        "BatchNormalizationTest.test_renorm_*": RENORM,
        # It sets every argument, `renorm` among them.
        "BatchNormalizationTest.test_serialization": RENORM,
    },
    "nadam": {"NadamTest.test_build_with_empty_var_list": INNER},
    "optimizer": {
        "OptimizerTest.test_optimizer_auto_naming": INNER,
    },
    "optimizer_distribute": {
        "OptimizerDistributeTest.test_gradient_accumulation": INNER,
    },
    "saving_lib, layers": {"SavingH5IOStoreTest.test_h5_io_store_lora": LORA},
    "saving_lib, optimizer": {
        "SavingTest.test_saved_module_paths_and_class_names": INNER,
    },
    "optimizer_sparse": {
        "OptimizerSparseTest.test_sparse_gradients_loss_scale_optimizer_sgd": (
            "the test watches one wrapper deep: not the optimizer inside"
        ),
    },
}


class Substituting:
    """A module in which other objects stand for some of its own."""

    def __init__(self, module, instead):
        object.__setattr__(self, "_module", module)
        object.__setattr__(self, "_instead", instead)

    def __getattr__(self, name):
        value = getattr(self._module, name)
        if isinstance(value, types.ModuleType):
            return Substituting(value, self._instead)
        return self._instead.get(id(value), value)

    def __setattr__(self, name, value):
        setattr(self._module, name, value)

    def __delattr__(self, name):
        delattr(self._module, name)


def load(suite, substitute=True):
    """A new copy of a test module of Keras, with substituted imports."""
    name = f"keras.src.{suite.module}"
    spec = importlib.util.find_spec(name)
    if spec is None:
        pytest.skip(f"this installation of Keras is without {name}")
    classes = dict(suite.classes) if substitute else {}
    if substitute:
        base = testing.TestCase
        classes[base] = with_more_weights(base)
    instead = {id(theirs): ours for theirs, ours in classes.items()}
    packages = ["keras"]
    if suite.tensorflow:
        # These suites make two devices of their own, for which all that
        # lives on those of this process would be thrown away. And several
        # default strategies in one process get each other's reductions.
        import tensorflow as tf
        from tensorflow.python.eager import context

        def nothing(*args):
            pass

        def mirrored(devices):
            return tf.distribute.MirroredStrategy(
                devices, tf.distribute.ReductionToOneDevice()
            )

        instead[id(tf.config.set_logical_device_configuration)] = nothing
        instead[id(context._reset_context)] = nothing
        instead[id(tf.distribute.MirroredStrategy)] = mirrored
        packages.append("tensorflow")

    def import_(name, *args, **kwargs):
        module = builtins.__import__(name, *args, **kwargs)
        if module.__name__.partition(".")[0] in packages:
            return Substituting(module, instead)
        return module

    module = types.ModuleType(f"keras_suites.{suite.module}")
    module.__file__ = spec.origin
    module.__builtins__ = {**vars(builtins), "__import__": import_}
    # Where `pickle` looks for the classes of the tests.
    sys.modules[module.__name__] = module
    source = pathlib.Path(spec.origin).read_text(encoding="utf-8")
    exec(
        compile(source, spec.origin, "exec"),
        vars(module),
    )
    return module


def cases(suite, substitute=True):
    """The tests of a suite by name, less those that Keras skips."""
    loader = unittest.TestLoader()
    module = load(suite, substitute)
    found = {}
    for group in loader.loadTestsFromModule(module):
        for case in group:
            method = getattr(case, case._testMethodName)
            marks = [
                *getattr(type(case), "pytestmark", ()),
                *getattr(method, "pytestmark", ()),
            ]
            skipped = any(
                mark.name == "skipif" and mark.args and mark.args[0]
                for mark in marks
            )
            name = f"{type(case).__name__}.{case._testMethodName}"
            if not skipped and name not in suite.skip:
                found[name] = case
    return found


def run(case):
    """The error of one test, `None` if it passed, or `"skipped"`."""
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(0)
    result = unittest.TestResult()
    with warnings.catch_warnings():
        # Keras's tests are not written for warnings as errors.
        warnings.simplefilter("ignore")
        case(result)
    for _, text in result.errors + result.failures:
        return text
    return "skipped" if result.skipped else None


def run_suite(name):
    """Results of a suite: errors by test, names of what passed, of Keras's."""
    suite = SUITES[name]
    with contextlib.ExitStack() as stack:
        if suite.wrap_by_name:
            stack.enter_context(wrapped_by_name())
        results = {test: run(case) for test, case in cases(suite).items()}
    results = {test: e for test, e in results.items() if e != "skipped"}
    errors = {test: error for test, error in results.items() if error}
    of_keras = set()
    if errors:
        plain = cases(suite, substitute=False)
        of_keras = {test for test in errors if run(plain[test])}
    passed = [test for test, error in results.items() if not error]
    return passed, errors, of_keras


def reason(name, test):
    for pattern, why in BY_DESIGN.get(name, {}).items():
        if fnmatch.fnmatchcase(test, pattern):
            return why
    return None


@pytest.fixture(autouse=True)
def settings_of_keras():
    """Keras's test case changes some for good."""
    filtering = keras.config.is_traceback_filtering_enabled()
    interactive = keras.config.is_interactive_logging_enabled()
    yield
    if filtering:
        keras.config.enable_traceback_filtering()
    if interactive:
        keras.config.enable_interactive_logging()
    io_utils.set_logging_verbosity("INFO")


def unavailable(suite):
    if suite.tensorflow and not TENSORFLOW:
        return "needs the TensorFlow backend"
    if suite.classes is None:
        return "there is no `keras_lbreg.LossScaleOptimizer`"
    return None


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SUITES)
def test_suite(name):
    why = unavailable(SUITES[name])
    if why:
        pytest.skip(why)
    passed, errors, of_keras = run_suite(name)
    print(f"{name}: {len(passed)} passed, {len(errors)} failed")
    ours = {test: e for test, e in errors.items() if test not in of_keras}
    problems = [
        f"{test}: {error.strip().splitlines()[-1]}\n{error}"
        for test, error in ours.items()
        if reason(name, test) is None
    ]
    problems += [
        f"{test} passes, but is listed in BY_DESIGN"
        for test in passed
        if reason(name, test) is not None
    ]
    problems += [
        f"BY_DESIGN lists {pattern!r}, which matches no test"
        for pattern in BY_DESIGN.get(name, {})
        if not fnmatch.filter([*passed, *errors], pattern)
    ]
    assert passed
    if problems:
        pytest.fail("\n\n".join(problems), pytrace=False)


def main(names):
    """Prints the table of all suites, or of those named."""
    print("| suite | run | passed | by design | fail with Keras's own too |")
    print("| --- | --- | --- | --- | --- |")
    for name in names or SUITES:
        why = unavailable(SUITES[name])
        if why:
            print(f"| {name} | {why} |")
            continue
        try:
            passed, errors, of_keras = run_suite(name)
        except Exception:
            traceback.print_exc()
            continue
        reasons = {}
        for test, error in errors.items():
            if test in of_keras:
                continue
            why = reason(name, test)
            if why is None:
                last = error.strip().splitlines()[-1][:200]
                print(f"  {name} {test}: {last}", file=sys.stderr)
                why = "**fails**"
            reasons[why] = reasons.get(why, 0) + 1
        listed = "; ".join(f"{n}: {why}" for why, n in reasons.items())
        print(
            f"| {name} | {len(passed) + len(errors)} | {len(passed)} "
            f"| {listed} | {len(of_keras)} |",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
