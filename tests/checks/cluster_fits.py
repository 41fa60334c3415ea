"""What Keras offers around `fit`, done by the workers of a cluster.

Every function takes the strategy, or None for one process, and returns what
can be compared.
"""

import contextlib
import functools
import pathlib
import tempfile

import keras
import numpy as np

import keras_lbreg as lbreg
from keras_lbreg.distribute import is_chief
from tests.checks import trajectories as t

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    from keras_lbreg.distribute import keras_issue_20585


@functools.cache
def digits():
    """Vectors and labels to train with, 256, and to validate with, 101."""
    data = lbreg.data.load_dataset("digits")
    x = data.x_train.reshape(len(data.x_train), -1).astype("float32") / 16
    y = data.y_train
    return (x[:256], y[:256]), (x[300:401], y[300:401])


def unbuilt():
    return keras.Sequential(
        [keras.layers.Dense(12, "tanh"), keras.layers.Dense(10, "softmax")]
    )


def compiled(strategy, make=lambda: t.perceptron(64), **kwargs):
    keras.utils.set_random_seed(0)
    kwargs = {
        "optimizer": t.sgd,
        "loss": "sparse_categorical_crossentropy",
        "metrics": ["accuracy"],
        "jit_compile": False,
    } | kwargs
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = make()
        model.compile(kwargs.pop("optimizer")(), **kwargs)
    return model


def fit(model, x, y=None, **kwargs):
    kwargs = {"batch_size": 64, "epochs": 2, "shuffle": False} | kwargs
    return model.fit(x, y, verbose=0, **kwargs).history


def weights(model):
    return [np.array(w) for w in model.get_weights()]


def callbacks(strategy):
    """A model that is not built; the last batch of validation has 37 samples.

    Training ends early, with the weights of its first epoch.
    """
    train, val = digits()
    model = compiled(strategy, unbuilt)
    seen = []
    rates = []
    logs = fit(
        model,
        *train,
        epochs=6,
        shuffle=True,
        validation_data=val,
        callbacks=[
            keras.callbacks.EarlyStopping(
                "val_loss",
                min_delta=10.0,
                patience=3,
                restore_best_weights=True,
            ),
            keras.callbacks.ReduceLROnPlateau(
                "val_loss", min_delta=10.0, patience=1, cooldown=1
            ),
            keras.callbacks.TerminateOnNaN(),
            lbreg.LearningRateLogger(),
            keras.callbacks.LambdaCallback(
                on_train_batch_end=lambda batch, logs: seen.append(dict(logs)),
                on_epoch_end=lambda epoch, logs: rates.append(
                    float(model.optimizer.learning_rate.numpy())
                ),
            ),
        ],
    )
    return {
        "logs": logs,
        "rates": rates,
        "weights": weights(model),
        "evaluate": model.evaluate(*val, batch_size=64, verbose=0),
        "predict": model.predict(val[0], batch_size=64, verbose=0),
        "batches": [{k: float(v) for k, v in logs.items()} for logs in seen],
    }


def schedule(strategy):
    (x, y), _ = digits()
    model = compiled(strategy)
    distance = lbreg.WeightDistance(frequency="log")
    path = pathlib.Path(tempfile.mkdtemp(), "{epoch}.keras")
    extra = []
    if is_chief(strategy):
        extra = [keras.callbacks.ModelCheckpoint(path)]
    fit(
        model,
        x,
        y,
        callbacks=[
            keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2),
            distance,
            *extra,
        ],
    )
    return {
        "rate": float(model.optimizer.learning_rate.numpy()),
        "distances": distance.distances,
        "predict": model.predict(x[:10], verbose=0),
        "files": [file.read_bytes() for file in sorted(path.parent.iterdir())],
    }


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        (x, y), _ = digits()
        part = slice(64 * index, 64 * index + 64)
        return x[part], y[part]


def inputs(strategy):
    """One model, trained with every kind of data after the other."""
    (x, y), _ = digits()
    model = compiled(strategy)
    w = np.linspace(0.5, 1.5, len(x)).astype("float32")
    kinds = {
        "dataset": {"x": tf.data.Dataset.from_tensor_slices((x, y)).batch(64)},
        "py_dataset": {"x": Batches()},
        "sample_weight": {
            "x": x,
            "y": y,
            "sample_weight": w,
            "validation_split": 0.25,
        },
        "class_weight": {
            "x": x,
            "y": y,
            "class_weight": {i: 1 + i / 9 for i in range(10)},
        },
    }
    logs = {
        kind: fit(model, **{"batch_size": None, "epochs": 1} | kwargs)
        for kind, kwargs in kinds.items()
    }
    return {"logs": logs, "weights": weights(model)}


class Two(keras.Model):
    """Two inputs by name, two outputs by name."""

    def __init__(self):
        super().__init__()
        self.hidden = keras.layers.Dense(12, "tanh")
        self.one = keras.layers.Dense(10, "softmax")
        self.two = keras.layers.Dense(1)

    def call(self, inputs):
        x = self.hidden(inputs["a"]) + self.hidden(inputs["b"])
        return {"one": self.one(x), "two": self.two(x)}


def several(strategy):
    (x, y), (x_val, _) = digits()
    model = compiled(
        strategy,
        Two,
        # With the rate of the others it diverges, and rounding with it.
        optimizer=lambda: keras.optimizers.SGD(0.01, momentum=0.9),
        loss={"one": "sparse_categorical_crossentropy", "two": "mse"},
        metrics={"one": ["accuracy"], "two": ["mae"]},
    )
    labels = {"one": y, "two": y.astype("float32")[:, None] / 9}
    logs = fit(model, {"a": x, "b": x[:, ::-1]}, labels)
    samples = {"a": x_val[:37], "b": x_val[37:74]}
    return {
        "logs": logs,
        "weights": weights(model),
        # Batches of 8, 8, 8, 8 and 5 samples.
        "predict": model.predict(samples, batch_size=8, verbose=0),
    }


def eager(strategy):
    (x, y), (x_val, _) = digits()
    model = compiled(strategy, run_eagerly=True)
    logs = fit(model, x, y, epochs=1)
    predict = model.predict(x_val[:21], batch_size=8, verbose=0)
    return {"logs": logs, "weights": weights(model), "predict": predict}


def loss_scaling(strategy):
    (x, y), _ = digits()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = compiled(
            strategy, optimizer=lambda: lbreg.LossScaleOptimizer(t.noise())
        )
        logs = fit(model, x, y)
    finally:
        keras.config.set_dtype_policy("float32")
    scale = float(model.optimizer.dynamic_scale.numpy())
    return {"logs": logs, "weights": weights(model), "scale": scale}


def squared_gradients(strategy):
    """The noise scale from the gradients of the replicas of all workers."""
    (x, y), _ = digits()
    model = compiled(
        strategy, optimizer=lambda: lbreg.SquaredGradients(t.sgd())
    )
    noise = lbreg.GradientNoiseScale(small_batch=32)
    return {"logs": fit(model, x, y, callbacks=[noise])}


def paths(strategy):
    (x, y), val = digits()
    model = compiled(strategy, functools.partial(t.both_paths, 64))
    selection = lbreg.DRegPathSelection(val)
    logs = fit(model, x, y, validation_data=val, callbacks=[selection])
    return {"logs": logs, "weights": weights(model)}


def on_batch(strategy):
    """Every replica is given the whole batch, as under `MirroredStrategy`."""
    (x, y), _ = digits()
    model = compiled(strategy)
    return {
        "train": [model.train_on_batch(x[:64], y[:64]) for _ in range(2)],
        "test": model.test_on_batch(x[:20], y[:20]),
        "predict": model.predict_on_batch(x[:6]),
        "weights": weights(model),
    }


def ragged(strategy):
    """The last batch has one sample: fewer than there are workers."""
    (x, y), _ = digits()
    model = compiled(strategy)
    logs = fit(model, x[:65], y[:65])
    return {"logs": logs, "weights": weights(model)}


def ragged_ghosts(strategy):
    (x, y), _ = digits()
    model = compiled(strategy, functools.partial(t.with_ghosts, 64))
    logs = fit(model, x[:65], y[:65])
    return {"logs": logs, "weights": weights(model)}


def moving_statistics(strategy):
    """What validation sees of batch normalization's moving statistics."""
    (x, y), val = digits()
    model = compiled(strategy, functools.partial(t.with_norm, 64))
    logs = fit(model, x, y, validation_data=val)
    layer = next(
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    )
    return {
        "logs": logs,
        "moving_mean": layer.moving_mean.numpy(),
        "trainable": [v.numpy() for v in model.trainable_variables],
    }


def compiled_step(strategy):
    (x, y), _ = digits()
    model = compiled(strategy)
    model.jit_compile = True
    return fit(model, x, y)


def steps_in_one_execution(strategy):
    (x, y), _ = digits()
    return fit(compiled(strategy, steps_per_execution=2), x, y)


@contextlib.contextmanager
def without(hook, value):
    """Takes the strategy the answer of one of its hooks."""
    kept = getattr(keras_issue_20585, hook)
    setattr(keras_issue_20585, hook, lambda: value)
    try:
        yield
    finally:
        setattr(keras_issue_20585, hook, kept)


def without_hook_of_shapes(strategy):
    (x, y), _ = digits()
    with without("model_to_build", None):
        return fit(compiled(strategy), x, y)


def without_hook_of_outputs(strategy):
    (x, y), _ = digits()
    with without("reduces_outputs_of_step", False):
        return fit(compiled(strategy), x, y)


def predict_unequal(strategy):
    """The last batch has the usual size on worker 0, and not on worker 1."""
    _, (x, _) = digits()
    return compiled(strategy).predict(x[:15], batch_size=8, verbose=0)
