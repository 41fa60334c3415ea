"""The versions of Keras and TensorFlow whose private parts were checked."""

import sys
import warnings

import keras

# The first version of each that was not.
UNTESTED_FROM = {"keras": (3, 16), "tensorflow": (2, 22)}


def warn_if_newer():
    """Warns, once in a process, of a Keras or TensorFlow newer than tested."""
    found = {"keras": keras.__version__}
    if keras.backend.backend() == "tensorflow":
        # Keras has imported it.
        found["tensorflow"] = sys.modules["tensorflow"].__version__
    for name, version in found.items():
        limit = UNTESTED_FROM[name]
        if tuple(int(part) for part in version.split(".")[:2]) < limit:
            continue
        warnings.warn(
            f"keras_lbreg is tested with {name} below "
            f"{'.'.join(map(str, limit))}. Found {name} {version}: private "
            "parts of it that keras_lbreg relies on may have changed.",
            # The line of the user that imports keras_lbreg.
            stacklevel=4,
        )
