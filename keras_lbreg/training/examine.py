"""What a workload trains, found by building its model once."""

import dataclasses
import functools

import keras
import numpy as np

from keras_lbreg.checks import invalid
from keras_lbreg.data.samples import is_tf_dataset, made, message
from keras_lbreg.metric_direction import direction_of
from keras_lbreg.models._keras_graph import sublayers
from keras_lbreg.models._keras_trainer import (
    compile_arguments,
    fresh_automatic_names,
)
from keras_lbreg.models.layer_search import (
    check_graph_model,
    check_shapes_are_known,
)
from keras_lbreg.training.data import ArrayData, DatasetData, ValidationData
from keras_lbreg.workloads.workload import takes_steps

# Samples that the model is tried with.
TRIED = 2

# Names of metrics whose values are shares of all samples.
SHARES = ("acc", "precision", "recall", "auc", "f1", "iou", "top_k")


@dataclasses.dataclass(frozen=True)
class Facts:
    """A workload's data and what is known of its model."""

    train: ArrayData | DatasetData
    validation: ValidationData
    # The plain model, as `build_model` made it.
    model: keras.Model
    # Name of what arms are judged by, and whether larger is better.
    objective: str
    maximize: bool
    # Whether it is a share of all samples, printed in per cent.
    is_share: bool

    @property
    def normalizes(self):
        """Whether there are moving statistics to estimate."""
        return any(
            isinstance(layer, keras.layers.BatchNormalization)
            for layer in sublayers(self.model)
        )

    def describe(self, workload):
        """The workload as a manifest holds it."""
        augmentation = workload.augmentation
        if hasattr(augmentation, "describe"):
            augmentation = augmentation.describe()
        layers = [
            [type(layer).__name__, [list(w.shape) for w in layer.weights]]
            for layer in self.model.layers
        ]
        words = ("name", "title", "notes", "source")
        return {
            **{name: getattr(workload, name) for name in words},
            "train_samples": self.train.samples,
            "val_samples": self.validation.samples,
            "data": [self.train.digest(), self.validation.digest()],
            "parameters": int(self.model.count_params()),
            "layers": layers,
            "objective": self.objective,
            "direction": "max" if self.maximize else "min",
            "is_share": self.is_share,
            "optimizer": optimizer_text(self.model.optimizer),
            "loss": in_words(compile_arguments(self.model).get("loss")),
            "augmentation": augmentation and in_words(augmentation),
        }


@functools.lru_cache(maxsize=4)
def examine(workload):
    """The `Facts` of a workload; raises where it cannot be trained."""
    with fresh_automatic_names():
        model = build_plain(workload, steps_per_epoch=1)
    rank = len(model.inputs[0].shape)
    train = training_data(workload, rank)
    values = made("validation_data", workload.validation_data)
    validation = ValidationData(values, rank)
    names = try_model(model, train, validation)
    objective = workload.objective or f"val_{names[0]}"
    name = objective.removeprefix("val_")
    if name not in (*names, "loss"):
        known = [f"val_{name}" for name in (*names, "loss")]
        expected = f"one of {known}, which the model is compiled with"
        raise invalid("objective", expected, objective)
    maximize = (workload.direction or direction_of(model, name)) == "max"
    is_share = maximize and any(part in name for part in SHARES)
    return Facts(train, validation, model, objective, maximize, is_share)


def build_plain(workload, steps_per_epoch):
    """The user's model, checked."""
    arguments = {}
    if takes_steps(workload.build_model):
        arguments["steps_per_epoch"] = steps_per_epoch
    model = workload.build_model(**arguments)
    if not isinstance(model, keras.Model):
        expected = "a function that returns a compiled `keras.Model`"
        received = f"a function that returns {type(model).__name__}"
        raise ValueError(message("build_model", expected, received))
    check_graph_model(model, "Build it of layers")
    check_shapes_are_known(model)
    if not model.compiled or model.optimizer is None:
        expected = (
            "a function that returns a compiled model, with its optimizer, "
            "loss and metrics"
        )
        received = "a model that is not compiled"
        raise ValueError(message("build_model", expected, received))
    return model


def training_data(workload, rank):
    given, augmentation = workload.train_data, workload.augmentation
    data = made("train_data", given)
    if not is_tf_dataset(data):
        return ArrayData(data, augmentation)
    if augmentation is not None:
        expected = "None with a `tf.data.Dataset`: augment in its `map`"
        raise invalid("augmentation", expected, augmentation)
    return DatasetData(data, rank, given if callable(given) else None)


def try_model(model, train, validation):
    """Names of the metrics, in order, once the model has been tried."""
    # To compile takes longer than two samples; JAX compiles each operation.
    eagerly = model.run_eagerly
    model.run_eagerly = eagerly or keras.backend.backend() == "tensorflow"
    for argument, sample in (
        ("train_data", train.first(TRIED)),
        ("validation_data", validation.first(TRIED)),
    ):
        try:
            x, y, weight = keras.utils.unpack_x_y_sample_weight(sample)
            results = model.evaluate(
                x,
                y,
                sample_weight=weight,
                batch_size=TRIED,
                verbose=0,
                return_dict=True,
            )
        except Exception as error:
            reason = str(error).strip().split("\n\n")[0].replace("\n", " ")
            expected = "data that `build_model`'s model can be evaluated on"
            received = (
                f"{shapes_of(sample)}, with which Keras raises "
                f"{type(error).__name__}: {reason[:400]}"
            )
            raise ValueError(message(argument, expected, received)) from error
        if not np.isfinite(results["loss"]):
            expected = "data on which the untrained model has a finite loss"
            received = (
                f"a loss of {results['loss']}: look for NaN or labels out of "
                "range"
            )
            raise ValueError(message(argument, expected, received))
    model.run_eagerly = eagerly
    model.make_test_function(force=True)
    names = [n for n in results if n != "loss" and not n.endswith("_loss")]
    return names or ["loss"]


def shapes_of(sample):
    return keras.tree.map_structure(
        lambda a: f"{np.asarray(a).dtype}{list(np.shape(a))}", sample
    )


def optimizer_text(optimizer):
    """An optimizer's class and settings, without the learning rate."""
    left_out = ("name", "learning_rate", "inner_optimizer")
    parts = []
    while optimizer is not None:
        values = ", ".join(
            f"{name}={value}"
            for name, value in sorted(optimizer.get_config().items())
            if name not in left_out
            and isinstance(value, (bool, int, float, str))
        )
        parts.append(f"{type(optimizer).__name__}({values})")
        optimizer = getattr(optimizer, "inner_optimizer", None)
    return " of ".join(parts)


def in_words(value):
    """The name of a function or object, or of all in a structure."""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(in_words, value))
    if isinstance(value, dict):
        return ", ".join(f"{k}: {in_words(v)}" for k, v in value.items())
    if isinstance(value, str) or value is None:
        return str(value)
    name = getattr(value, "name", None) or getattr(value, "__name__", None)
    return str(name or type(value).__name__)
