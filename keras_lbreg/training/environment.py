"""What a run ran on."""

import importlib.metadata
import os
import pathlib
import platform
import subprocess

import keras

from keras_lbreg._version import __version__


def environment():
    """Versions, backend, device and commit, for the manifest."""
    backend = keras.backend.backend()
    versions = {
        "python": platform.python_version(),
        "keras": keras.__version__,
        "numpy": importlib.metadata.version("numpy"),
        "keras_lbreg": __version__,
        backend: backend_version(backend),
    }
    return {
        "versions": versions,
        "backend": backend,
        "device": device(backend),
        "virtual_devices": virtual_devices(backend),
        "cpu_count": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "platform": platform.platform(),
        "git_commit": git_commit(),
    }


def backend_version(backend):
    return importlib.import_module(backend).__version__


def device(backend):
    """Name of the accelerator, or of the processor where there is none."""
    if backend == "jax":
        import jax

        first = jax.devices()[0]
        return processor() if first.platform == "cpu" else first.device_kind
    if backend == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if gpus:
            details = tf.config.experimental.get_device_details(gpus[0])
            return details.get("device_name", "GPU")
    return processor()


def virtual_devices(backend):
    """How many devices the processor is divided into; 1 on an accelerator."""
    if backend == "jax":
        import jax

        devices = jax.local_devices()
        return len(devices) if devices[0].platform == "cpu" else 1
    if backend == "tensorflow":
        import tensorflow as tf

        if not tf.config.list_logical_devices("GPU"):
            return len(tf.config.list_logical_devices("CPU"))
    return 1


def processor():
    info = pathlib.Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def git_commit():
    """Commit of the source tree this package is imported from, if any."""
    source = pathlib.Path(__file__).resolve().parent
    try:
        answer = subprocess.run(
            ["git", "ls-files", "--error-unmatch", __file__],
            cwd=source,
            capture_output=True,
            timeout=10,
        )
        if answer.returncode:
            # Installed inside somebody else's repository.
            return None
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=source,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None


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
