"""`import keras_lbreg`: lazy names, and classes that Keras knows at once."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_lbreg

HEAVY = ("keras_tuner", "tensorflow_datasets", "keras_lbreg.comparison")

LOAD = """
import sys
import keras_lbreg
print(*sys.modules)
import keras
import numpy as np
for name in sys.argv[1:]:
    model = keras.saving.load_model(name)
    np.save(name, model.predict(np.ones((8, 4), "float32"), verbose=0))
"""


@pytest.mark.parametrize("name", keras_lbreg.__all__)
def test_every_name_is_there(name):
    if name == "tune":
        pytest.importorskip("keras_tuner")
    value = getattr(keras_lbreg, name)
    assert name in dir(keras_lbreg)
    assert isinstance(value, type(sys)) == (name in keras_lbreg.NAMES)


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'GhostNorm'"):
        keras_lbreg.GhostNorm  # noqa: B018


def make_model():
    inputs = keras.Input((4,))
    x = keras.layers.Dense(8)(inputs)
    x = keras_lbreg.GhostBatchNormalization(ghost_batch_size=4)(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    sgd = keras.optimizers.SGD(keras_lbreg.WarmUp(0.1, 5))
    model.compile(
        keras_lbreg.GradientNoise(sgd), keras.losses.MeanSquaredError()
    )
    return model


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_import_is_enough_to_load_a_model(tmp_path):
    # In a process that imports `keras_lbreg` before Keras; this one is in the
    # other order.
    model = make_model()
    files = [str(tmp_path / f"model.{ending}") for ending in ("keras", "h5")]
    for file in files:
        model.save(file)
    result = subprocess.run(
        [sys.executable, "-c", LOAD, *files], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    expected = model.predict(np.ones((8, 4), "float32"), verbose=0)
    for file in files:
        np.testing.assert_allclose(np.load(f"{file}.npy"), expected, atol=1e-6)
    imported = result.stdout.split()
    assert not {*HEAVY} & {*imported}
    if keras.backend.backend() == "jax":
        assert "tensorflow" not in imported


@pytest.mark.parametrize(
    "start",
    [
        ["-c", "import _lbreg, sys; sys.argv[1:] = ['-h']; _lbreg.main()"],
        ["-m", "keras_lbreg", "--help"],
    ],
    ids=["script", "module"],
)
def test_the_command_does_without_keras(start):
    result = subprocess.run(
        [sys.executable, "-X", "importtime", *start],
        capture_output=True,
        text=True,
    )
    assert "lbreg compare digits" in result.stdout
    imported = [
        line.split("|")[-1].strip() for line in result.stderr.split("\n")
    ]
    assert "typer" in imported
    assert not {"keras", "tensorflow", "jax", "matplotlib"} & {*imported}
