"""Test session: one backend, eight virtual CPU devices.

`KERAS_BACKEND=tensorflow pytest` (the default) runs everything that is not
marked for a GPU. `KERAS_BACKEND=jax pytest` runs what works without
TensorFlow, and makes any attempt to import TensorFlow an error.
"""

import gc
import importlib.abc
import os
import signal
import sys

import pytest

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "agg")
# What is compiled runs a few times: machine code need not be fast.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

# A shell's background jobs ignore Ctrl-C, and so would all they start: some
# tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

VIRTUAL_DEVICES = 8

# Test modules that share the clusters of tests/checks/clusters.py.
CLUSTERS = (
    "test_cluster",
    "test_data_sharding",
    "test_keras_issue_20585",
    "test_multi_worker_mirrored_strategy",
    "test_multi_worker_trajectories",
)

JAX = os.environ["KERAS_BACKEND"] == "jax"


class NoTensorFlow(importlib.abc.MetaPathFinder):
    """Makes `import tensorflow` fail, as where it is not installed.

    `sys.modules["tensorflow"] = None` would do that too, but Keras takes its
    presence there for an imported TensorFlow.
    """

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tensorflow":
            raise ModuleNotFoundError(f"No module named {name!r}")
        return None


def pytest_configure(config):
    deals_out = config.getoption("numprocesses", None)
    if hasattr(config, "workerinput") or not deals_out:
        start_backend()


def start_backend():
    """Virtual devices, for a process that runs tests."""
    if JAX:
        sys.meta_path.insert(0, NoTensorFlow())

        import jax

        jax.config.update("jax_num_cpu_devices", VIRTUAL_DEVICES)
    else:
        import tensorflow as tf

        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * VIRTUAL_DEVICES,
        )
        # Optimizing the graph of a model of a few neurons takes longer than
        # to run it. Commands and examples that the tests start have it.
        tf.config.optimizer.set_experimental_options(
            {"disable_meta_optimizer": True}
        )


# First: xdist looks for the groups in its own.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    for item in items:
        if JAX and item.get_closest_marker("tensorflow"):
            item.add_marker(
                pytest.mark.skip(reason="needs the TensorFlow backend")
            )
        if config.pluginmanager.hasplugin("xdist"):
            # A module in one process, which does once what its tests share.
            module = item.module.__name__
            shares = module.rpartition(".")[2] in CLUSTERS
            group = "clusters" if shares else module
            item.add_marker(pytest.mark.xdist_group(group))
        if item.get_closest_marker("gpu") and not has_gpu():
            item.add_marker(pytest.mark.skip(reason="needs a GPU"))


def pytest_collection_finish(session):
    # What was imported stays: not to be looked through for garbage.
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def few_objects_to_look_through():
    """Freezes what a module leaves behind: graphs that TensorFlow keeps.

    Millions of objects by the end: looking through them again and again would
    take a fifth of the time of all tests.
    """
    yield
    gc.collect()
    gc.freeze()


def has_gpu():
    if JAX:
        import jax

        return any(d.platform == "gpu" for d in jax.devices())
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


@pytest.fixture(autouse=True)
def fresh_keras_state():
    """Every test starts from float32, one seed and new layer names."""
    import keras

    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
    # Collecting garbage after each of many small tests would take longer
    # than the tests.
    keras.backend.clear_session(free_memory=False)
