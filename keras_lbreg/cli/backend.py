"""Keras's start in the process of a command, and its end among workers."""

import contextlib
import importlib
import importlib.util
import logging
import os
import sys
import tempfile

# Documented, whatever its name says.
from os import _exit as exit_at_once

import typer

import keras_lbreg
from keras_lbreg.cli.errors import RUN_FAILED

BACKENDS = ("tensorflow", "jax")


def start_keras(backend=None, virtual_devices=None):
    """Imports Keras on `backend`, quietly.

    `None` leaves the choice to Keras (the environment variable
    `KERAS_BACKEND`, then `~/.keras`), or is JAX where TensorFlow is not
    installed. The processor is divided into `virtual_devices`, with no GPU in
    use; `None` leaves the devices as they are.
    """
    if backend not in (None, *BACKENDS):
        raise ValueError(
            "Invalid value for option `--backend`. Expected one of "
            f"{', '.join(BACKENDS)}. Received: --backend {backend}"
        )
    if "keras" not in sys.modules:
        if backend is not None:
            os.environ["KERAS_BACKEND"] = backend
        elif not is_installed("tensorflow") and is_installed("jax"):
            os.environ.setdefault("KERAS_BACKEND", "jax")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Every run traces its own step: no reason to warn of retracing.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    try:
        with quiet_stderr():
            keras = importlib.import_module("keras")
            # Keras imports TensorFlow here even on JAX, if it is installed.
            # Each run sets its own seed later.
            keras.utils.set_random_seed(0)
            if keras.backend.backend() == "tensorflow":
                # It reports a missing GPU when it is first asked for one.
                tf = importlib.import_module("tensorflow")
                tf.config.list_physical_devices()
            keras_lbreg.register_classes()
    except ImportError as error:
        name = backend or os.environ.get("KERAS_BACKEND", "the default backend")
        raise ImportError(
            f"Keras could not start on {name}: {error}. Expected its package "
            "to be installed with the extra `tensorflow` or `jax` "
            '(`pip install "keras-lbreg[jax]"`, in a clone `pip install '
            '".[jax]"`), and `--backend` to name it.'
        ) from error
    running = keras.backend.backend()
    if running != (backend or running) or running not in BACKENDS:
        raise ValueError(
            f"Keras runs on {running} in this process. Expected "
            f"{backend or ' or '.join(BACKENDS)}. Set the environment variable "
            "KERAS_BACKEND to it and start again."
        )
    if virtual_devices is not None:
        from keras_lbreg.distribute.divide_processor import divide_processor

        divide_processor(virtual_devices, running)


def end(placement, failed=False):
    """Ends a command that has trained; the workers of a cluster together.

    Python takes seconds to clean up after TensorFlow, each worker another
    number of them, and TensorFlow takes the first to be gone for a crash and
    says so at length. Everything has been written by now: the workers wait
    for one another and are gone at once.
    """
    if placement.workers > 1:
        placement.on_chief(lambda: None)
        sys.stdout.flush()
        sys.stderr.flush()
        exit_at_once(RUN_FAILED if failed else 0)
    raise typer.Exit(RUN_FAILED if failed else 0)


def is_installed(package):
    return importlib.util.find_spec(package) is not None


@contextlib.contextmanager
def quiet_stderr():
    """Hold back what C++ libraries write to stderr while they are loaded.

    TensorFlow logs several lines before its log level applies. They are shown
    after all if the import fails.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
