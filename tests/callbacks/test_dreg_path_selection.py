import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_lbreg
from tests.checks.replicas import mirrored_strategy

to_numpy = keras.ops.convert_to_numpy
RNG = np.random.default_rng(0)
X = RNG.normal(size=(10, 3)).astype("float32")
Y = np.arange(10) % 2
# Small enough for no probability to be clipped (at 1e-7) in a loss.
BETTER = np.array([[3.0, -3.0], [0.0, 0.0], [0.0, 0.0]], "float32")


def make(kind):
    """A classifier of which the left path is right about everything."""
    inputs = keras.Input((3,))
    layer = keras_lbreg.DRegDense(
        2,
        activation="softmax",
        weight=0.0,
        paths="both" if kind == "both" else "split",
    )
    model_class = keras_lbreg.DRegModel if kind == "both" else keras.Model
    model = model_class(inputs, layer(inputs))
    labels = (X[:, 0] < 0).astype("int64")
    layer.kernel.assign(-BETTER)
    layer.kernel_left.assign(BETTER)
    model.compile(
        keras.optimizers.SGD(0.0),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model, labels


def fit(model, labels, *callbacks, **options):
    return model.fit(
        X, labels, verbose=0, callbacks=list(callbacks), **options
    ).history


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y
        self.read = []

    def __len__(self):
        return 3

    def __getitem__(self, i):
        self.read.append(i)
        return self.x[4 * i : 4 * i + 4], self.y[4 * i : 4 * i + 4]


class Spy(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(dict(logs))


@pytest.mark.parametrize("kind", ["both", "split"])
@pytest.mark.parametrize("validate", [True, False])
def test_the_better_path_becomes_active(kind, validate):
    model, labels = make(kind)
    expected, sample_losses = {}, {}
    for path in ("right", "left"):
        single = keras_lbreg.strip_dreg(model, path=path)
        single.compile(
            loss="sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        expected[path] = single.evaluate(X, labels, verbose=0, return_dict=True)
        probabilities = single.predict(X, verbose=0)
        sample_losses[path] = -np.log(probabilities[np.arange(10), labels])
    selection = keras_lbreg.DRegPathSelection((X, labels), batch_size=4)
    spy = Spy()
    options = {"validation_data": (X, labels)} if validate else {}
    logs = fit(
        model, labels, selection, spy, epochs=2, shuffle=False, **options
    )
    assert model.layers[-1].active_path == "left"
    for path, found in expected.items():
        for name in ("accuracy", "loss"):
            assert (
                logs[f"val_{name}_{path}"]
                == [pytest.approx(found[name], rel=1e-5)] * 2
            )
    assert logs["val_accuracy_left"] == [1.0, 1.0]
    # The epoch's own figures are those of the path chosen in it.
    assert logs["val_accuracy"] == [1.0, 1.0]
    assert spy.seen[0]["val_accuracy_left"] == 1.0
    # And those of training are its own: both paths, or each half of the batch.
    assert logs["accuracy"] == [0.5, 0.5]
    if kind == "both":
        loss = (
            sample_losses["right"].mean() / 2 + sample_losses["left"].mean() / 2
        )
    else:
        halves = sample_losses["right"][:5], sample_losses["left"][5:]
        loss = np.concatenate(halves).mean()
    assert logs["loss"] == [pytest.approx(loss, rel=1e-5)] * 2


def batches_of(labels):
    return [(X[i : i + 4], labels[i : i + 4]) for i in range(0, 10, 4)]


@pytest.mark.parametrize(
    "data",
    [batches_of, lambda labels: [X, labels], lambda labels: (X, labels)],
    ids=["batches", "list-of-arrays", "arrays"],
)
def test_lists_of_batches_and_of_arrays(data):
    model, labels = make("both")
    expected = model.evaluate(X, labels, verbose=0, return_dict=True)
    selection = keras_lbreg.DRegPathSelection(data(labels))
    logs = fit(model, labels, selection, epochs=2)
    assert logs["val_accuracy_left"] == [1.0, 1.0]
    loss = pytest.approx(expected["loss"], rel=1e-5)
    assert logs["val_loss_right"] == [loss] * 2


def test_a_dataset_is_read_for_each_path():
    model, labels = make("both")
    data = Batches(X, labels)
    selection = keras_lbreg.DRegPathSelection(data)
    logs = fit(model, labels, selection)
    assert set(data.read) == {0, 1, 2}
    assert logs["val_accuracy_left"] == [1.0]
    assert logs["val_accuracy_right"] == [0.0]


@pytest.mark.tensorflow
def test_tf_data_sample_weights_and_replicas():
    import tensorflow as tf

    with mirrored_strategy(2).scope():
        model, labels = make("both")
    weight = np.where(np.arange(10) < 5, 1.0, 0.0).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((X, labels, weight)).batch(4)
    expected = model.evaluate(data, verbose=0, return_dict=True)
    selection = keras_lbreg.DRegPathSelection(data)
    logs = fit(model, labels, selection, batch_size=10)
    assert logs["val_accuracy_right"] == [pytest.approx(0.0)]
    assert logs["val_accuracy_left"] == [pytest.approx(1.0)]
    assert logs["val_loss_right"] == [pytest.approx(expected["loss"], rel=1e-4)]
    assert model.active_path == "left"


@pytest.mark.slow
@pytest.mark.tensorflow
def test_tf_data_under_jax():
    """The tests under JAX have no TensorFlow; a process of its own has."""
    pytest.importorskip("jax")
    code = """
import keras, numpy as np, tensorflow as tf, keras_lbreg
x, y = np.eye(6, dtype="float32"), np.arange(6) % 2
inputs = keras.Input((6,))
outputs = keras_lbreg.DRegDense(2, paths="both", init_distance=1.0)(inputs)
model = keras_lbreg.DRegModel(inputs, outputs)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.SGD(0.0), loss)
data = tf.data.Dataset.from_tensor_slices((x, y, np.ones(6))).batch(4)
selection = keras_lbreg.DRegPathSelection(data)
logs = model.fit(x, y, epochs=2, verbose=0, callbacks=[selection]).history
for path in ("right", "left"):
    single = keras_lbreg.strip_dreg(model, path=path)
    single.compile(loss=loss)
    expected = single.evaluate(x, y, verbose=0)
    np.testing.assert_allclose(logs[f"val_loss_{path}"], expected, rtol=1e-5)
print(keras.backend.backend(), *logs["val_loss_right"])
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
    )
    assert result.stdout.startswith("jax "), result.stderr


def test_monitor_and_mode():
    model, labels = make("split")
    selection = keras_lbreg.DRegPathSelection(
        (X, labels), monitor="accuracy", mode="min"
    )
    fit(model, labels, selection)
    assert model.layers[-1].active_path == "right"
    # A tie changes nothing; without an accuracy the loss decides.
    model.layers[-1].kernel_left.assign(-BETTER)
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    for path in ("right", "left"):
        model.layers[-1].active_path = path
        fit(model, labels, keras_lbreg.DRegPathSelection((X, labels)))
        assert model.layers[-1].active_path == path


def test_evaluate_alone_does_not_choose():
    model, labels = make("split")
    selection = keras_lbreg.DRegPathSelection((X, labels))
    selection.set_model(model)
    model.evaluate(X, labels, verbose=0, callbacks=[selection])
    assert model.layers[-1].active_path == "right"


def test_errors():
    with pytest.raises(ValueError, match=r"Received: mode='best'"):
        keras_lbreg.DRegPathSelection((X, Y), mode="best")
    model, labels = make("split")
    with pytest.raises(ValueError, match=r"`monitor`.*'accuracy', 'loss'"):
        fit(model, labels, keras_lbreg.DRegPathSelection((X, labels), "auc"))
    with pytest.raises(ValueError, match="a generator can be read once"):
        keras_lbreg.DRegPathSelection(iter(batches_of(labels)))
    for empty in ([], (), (X[:0], labels[:0])):
        with pytest.raises(ValueError, match="Expected at least one batch"):
            fit(model, labels, keras_lbreg.DRegPathSelection(empty))
    plain = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    plain.compile("sgd", "mse")
    with pytest.raises(ValueError, match="Expected a model with a DReg layer"):
        fit(plain, X[:, :2], keras_lbreg.DRegPathSelection((X, X[:, :2])))
