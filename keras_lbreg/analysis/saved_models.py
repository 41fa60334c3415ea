"""Saved models, and samples of a workload to measure them on."""

import dataclasses
import hashlib
import itertools
import math
import pathlib
import re
import warnings
import zipfile

import keras
import numpy as np

from keras_lbreg.checks import check_positive_int
from keras_lbreg.data.samples import (
    check_data,
    count_samples,
    is_tf_dataset,
    take_rows,
)
from keras_lbreg.layers.dreg_layer import DRegLayer
from keras_lbreg.layers.ghost_batch_normalization import (
    GhostBatchNormalization,
)
from keras_lbreg.models._keras_trainer import compile_arguments
from keras_lbreg.models.apply_dreg import strip_dreg
from keras_lbreg.models.apply_ghost_batch_norm import strip_ghost_batch_norm
from keras_lbreg.models.layer_search import find_layers, is_graph_model
from keras_lbreg.training.data import digest_of, is_batched
from keras_lbreg.training.examine import build_plain

# As many samples show whether outputs are probabilities or logits.
LOOKED_AT = 128
SPLITS = {"train": "training", "val": "validation"}


@dataclasses.dataclass(frozen=True, eq=False)
class Samples:
    """Some or all samples of one part of a workload's data."""

    x: object
    y: object
    description: dict

    @property
    def title(self):
        d = self.description
        part = SPLITS[d["split"]]
        return f"{d['samples']:,} {part} samples of {d['title']}"


def take_samples(workload, split, count=None, seed=0):
    """A random part of a workload's data, in their order, without weights."""
    if split not in SPLITS:
        raise ValueError(
            "Invalid value for argument `split`. Expected 'train' or 'val'. "
            f"Received: split={split!r}"
        )
    data = workload.train_data if split == "train" else workload.validation_data
    if callable(data) and not is_tf_dataset(data):
        data = check_data("data", data())
    if is_tf_dataset(data):
        rank = len(build_plain(workload, 1).inputs[0].shape)
        dataset = data if is_batched(data, rank) else data.batch(1024)
        data = keras.tree.map_structure(
            lambda *parts: np.concatenate(parts), *dataset.as_numpy_iterator()
        )
    data = tuple(data)[:2]
    there = count_samples(data)
    if count is not None:
        check_positive_int("samples", count)
        if count < there:
            # Not the first samples: data may be sorted by class.
            order = np.random.default_rng(seed).permutation(there)
            data = take_rows(data, np.sort(order[:count]))
    description = {
        "name": workload.name,
        "title": workload.title,
        "split": split,
        "samples": count_samples(data),
        "checksum": digest_of(data),
    }
    return Samples(*data, description)


@dataclasses.dataclass(frozen=True, eq=False)
class SavedModel:
    """A model of a `.keras` file, plain, compiled with loss and accuracy."""

    path: pathlib.Path
    model: keras.Model
    description: dict

    @property
    def name(self):
        return self.description["name"]


def read_models(paths, samples, workload):
    """The `SavedModel`s of `.keras` files; raises if they do not fit."""
    paths = [pathlib.Path(path) for path in paths]
    for path in paths:
        if path.suffix != ".keras" or not path.is_file():
            raise ValueError(
                "Invalid value for argument `paths`. Expected files that "
                "exist and end in .keras, as `model.save` writes them. "
                f"Received: {str(path)!r}"
            )
    return tuple(
        read_model(path, name, samples, workload)
        for path, name in zip(paths, short_names(paths), strict=True)
    )


def read_model(path, name, samples, workload):
    """Load one model; what only training needs is taken out of it."""
    model = load(path)
    outputs = outputs_of(model, samples, path)
    arguments, note = loss_of(model, outputs, samples, workload)
    notes = [note]
    if is_graph_model(model):
        if has_layer(model, DRegLayer):
            model = strip_dreg(model)
            notes.append("without the path of DReg that is not active")
        if has_layer(model, GhostBatchNormalization):
            # It infers just so; other tools expect the plain layer.
            model = strip_ghost_batch_norm(model)
    model.compile(**arguments)
    description = {
        "name": name,
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "parameters": sum(
            math.prod(v.shape) for v in model.trainable_variables
        ),
        "notes": notes,
    }
    return SavedModel(path, model, description)


def has_layer(model, kind):
    return bool(find_layers(model, lambda layer: isinstance(layer, kind)))


def load(path):
    try:
        with warnings.catch_warnings():
            # On the optimizer's state, which is not used.
            warnings.simplefilter("ignore")
            return keras.saving.load_model(path)
    except Exception as error:
        # Keras raises whatever comes up inside of a damaged file.
        raise ValueError(
            f"Cannot load {path}: {why(path, error)}. Expected a .keras file "
            "of layers that are registered with "
            "`keras.saving.register_keras_serializable`."
        ) from error


def why(path, error):
    """The heart of an error of `load_model`, which can be pages long."""
    if not zipfile.is_zipfile(path):
        return "it is no archive, or a part of one"
    unknown = re.search(r"Could not locate (\w+ '[^']+')", str(error))
    if unknown:
        return f"it needs the {unknown[1]}, which is not known here"
    return first_sentence(error)


def first_sentence(error):
    """The first line of an error's message, or its first sentence."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].partition(". ")[0].rstrip(".")


def outputs_of(model, samples, path):
    """What the model predicts of a few samples; raises if it cannot."""
    x = take_rows(samples.x, slice(LOOKED_AT))
    try:
        outputs = model.predict(x, verbose=0)
        if are_labels(outputs, samples.y):
            classes, units = np.max(samples.y) + 1, outputs.shape[1]
            if 1 < units < classes:
                raise ValueError(
                    f"expected an output for each of the {classes} classes, "
                    f"received {units}"
                )
        return outputs
    except Exception as error:
        shapes = keras.tree.map_structure(lambda a: a.shape[1:], samples.x)
        raise ValueError(
            f"The model {path} does not fit {samples.description['title']}, "
            f"with samples of shape {shapes}: {first_sentence(error)}"
        ) from error


def are_labels(outputs, y):
    """Whether one integer is the target of several outputs."""
    return (
        isinstance(y, np.ndarray)
        and isinstance(outputs, np.ndarray)
        and y.dtype.kind in "iu"
        and y.size == len(y)
        and outputs.ndim == 2
    )


def loss_of(model, outputs, samples, workload):
    """The arguments for `compile`, and a note on where the loss is from.

    It is the loss of the compiled model, otherwise the workload's. Where
    labels are integers, crossentropy takes them as they are; outputs that are
    not negative and add up to 1 for every sample are taken for probabilities
    where no compiled model says what they are.
    """
    compiled = model.compiled and model.loss is not None
    source = model if compiled else build_plain(workload, 1)
    arguments = compile_arguments(source)
    loss, weights = arguments.get("loss"), arguments.get("loss_weights")
    note = "as the model is compiled" if compiled else "that of the workload"
    if isinstance(loss, (dict, list, tuple)):
        return {"loss": loss, "loss_weights": weights}, f"its losses ({note})"
    loss = keras.losses.get(loss)
    name = getattr(loss, "name", None) or getattr(loss, "__name__", "loss")
    if "categorical_crossentropy" not in name:
        return {"loss": loss}, f"loss: {name} ({note})"
    config = loss.get_config() if hasattr(loss, "get_config") else {}
    from_logits = bool(config.get("from_logits", False))
    if not compiled:
        outputs = np.asarray(outputs, "float64")
        adds_up = np.allclose(outputs.sum(axis=-1), 1, atol=1e-2)
        from_logits = not (adds_up and np.all(outputs >= 0))
        note = (
            "assumed, as the model is not compiled and its outputs "
            f"{'do not add' if from_logits else 'add'} up to 1"
        )
        # A loss may be given as a function, or by its name.
        kind = type(loss) if config else getattr(keras.losses, camel(name))
        loss = kind.from_config({**config, "from_logits": from_logits})
    if are_labels(outputs, samples.y):
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits)
    kind = "logits" if from_logits else "probabilities"
    words = f"loss: crossentropy of {kind} ({note})"
    return {"loss": loss, "metrics": ["accuracy"]}, words


def camel(name):
    return name.title().replace("_", "")


def short_names(paths):
    """The files' stems, with as many folders before them as it takes."""
    files = [path.resolve().with_suffix("") for path in paths]
    for depth in itertools.count(1):
        names = ["/".join(file.parts[-depth:]) for file in files]
        # One file may be given twice.
        if len(set(names)) == len(set(files)):
            return names
