"""What a run ran on."""

import importlib
import os
import pathlib
import platform
import subprocess

import keras
import numpy

from keras_lbreg._version import __version__


def environment():
    """Versions, backend, device and commit, for the manifest."""
    backend = keras.backend.backend()
    name, count = devices(backend)
    cores = os.cpu_count()
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    return {
        "versions": {
            "python": platform.python_version(),
            "keras": keras.__version__,
            "numpy": numpy.__version__,
            "keras_lbreg": __version__,
            backend: importlib.import_module(backend).__version__,
        },
        "backend": backend,
        "device": name or processor(),
        "virtual_devices": count,
        "cpu_count": cores,
        "platform": platform.platform(),
        "git_commit": git_commit(),
    }


def devices(backend):
    """The accelerator's name, `None` without one, and the parts of the CPU."""
    if backend == "jax":
        import jax

        [first, *_] = found = jax.local_devices()
        if first.platform != "cpu":
            return first.device_kind, 1
        return None, len(found)
    if backend == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if gpus and tf.config.list_logical_devices("GPU"):
            details = tf.config.experimental.get_device_details(gpus[0])
            return details.get("device_name", "GPU"), 1
        return None, len(tf.config.list_logical_devices("CPU"))
    return None, 1


def processor():
    info = pathlib.Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def git_commit():
    """Commit of the source tree this package is imported from, if any."""

    def git(*words):
        answer = subprocess.run(
            ["git", *words],
            cwd=pathlib.Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        return answer.stdout.strip()

    try:
        # Fails where it is installed inside somebody else's repository.
        git("ls-files", "--error-unmatch", __file__)
        return git("rev-parse", "HEAD")
    except (OSError, subprocess.SubprocessError):
        return None


def provenance(manifest):
    """Where results come from, in one line."""
    names = {"tensorflow": "TensorFlow", "jax": "JAX"}
    backend, versions = manifest["backend"], manifest["versions"]
    return (
        f"{names.get(backend, backend)} {versions[backend]}, Keras "
        f"{versions['keras']}, {manifest['cpu_count']} cores of an "
        f"{manifest['device']}, commit "
        f"{(manifest['git_commit'] or 'unknown')[:7]}"
    )
