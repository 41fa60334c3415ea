"""Saved models, and samples of a workload to measure them on."""

import hashlib
import math
import os
import pathlib
import typing
import warnings
import zipfile

import keras
import numpy as np

from keras_lbreg.checks import check_choice, check_positive_int
from keras_lbreg.data.samples import (
    check_data,
    count_samples,
    is_tf_dataset,
    message,
    take_rows,
)
from keras_lbreg.formatting import reason
from keras_lbreg.layers.dreg_layer import DRegLayer
from keras_lbreg.layers.ghost_batch_normalization import (
    GhostBatchNormalization,
)
from keras_lbreg.models._keras_trainer import compile_arguments
from keras_lbreg.models.apply_dreg import strip_dreg
from keras_lbreg.models.apply_ghost_batch_norm import strip_ghost_batch_norm
from keras_lbreg.models.layer_search import find_layers, is_graph_model
from keras_lbreg.training.data import digest_of, is_batched
from keras_lbreg.training.examine import build_plain, in_words

# Samples that a model is tried with.
TRIED = 128
SPLITS = {"train": "training", "val": "validation"}
STRIPS = {
    DRegLayer: strip_dreg,
    GhostBatchNormalization: strip_ghost_batch_norm,
}


class Samples(typing.NamedTuple):
    """Some or all samples of one part of a workload's data."""

    x: object
    y: object
    description: dict


class SavedModel(typing.NamedTuple):
    """A model of a `.keras` file, plain, compiled with loss and metrics."""

    path: pathlib.Path
    model: keras.Model
    description: dict

    @property
    def name(self):
        return self.description["name"]


def take_samples(workload, split, count=None, seed=0):
    """A random part of a workload's data, in their order, without weights."""
    check_choice("split", split, SPLITS)
    if count is not None:
        check_positive_int("samples", count)
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
    if count is not None and count < there:
        # Not the first samples: data may be sorted by class.
        order = np.random.default_rng(seed).permutation(there)
        data = take_rows(data, np.sort(order[:count]))
    description = {
        "title": workload.title,
        "part": SPLITS[split],
        "samples": count_samples(data),
        "checksum": digest_of(data),
    }
    return Samples(*data, description)


def read_models(paths, samples, workload):
    """The `SavedModel`s of `.keras` files; raises if they do not fit."""
    paths = [pathlib.Path(path) for path in paths]
    for path in paths:
        if path.suffix != ".keras" or not zipfile.is_zipfile(path):
            state = "is no such file" if path.exists() else "does not exist"
            expected = "whole files as of `model.save`, which end in .keras"
            received = f"{str(path)!r}, which {state}"
            raise ValueError(message("paths", expected, received))
    return [
        read_model(path, name, samples, workload)
        for path, name in zip(paths, short_names(paths), strict=True)
    ]


def short_names(paths):
    """The files' names, with the folders that tell them apart."""
    files = [path.resolve().with_suffix("") for path in paths]
    common = os.path.commonpath([file.parent for file in files])
    return [file.relative_to(common).as_posix() for file in files]


def read_model(path, name, samples, workload):
    """Loads one model; what only training needs is taken out of it."""
    model = load(path)
    # A stripped model is saved without its loss.
    compiled = model.compiled and model.loss is not None
    source = model if compiled else build_plain(workload, 1)
    arguments = compile_arguments(source)
    arguments = {
        key: arguments.get(key) for key in ("loss", "loss_weights", "metrics")
    }
    whose = "as it is compiled" if compiled else "the workload's"
    notes = [f"loss: {in_words(arguments['loss'])} ({whose})"]
    if is_graph_model(model):
        for kind, strip in STRIPS.items():
            if find_layers(model, lambda x, kind=kind: isinstance(x, kind)):
                model = strip(model)
                notes.append(f"after `{strip.__name__}`")
    model.compile(**arguments)
    description = {
        "name": name,
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "parameters": sum(
            math.prod(v.shape) for v in model.trainable_variables
        ),
        "notes": notes,
        "fit": evaluate(model, samples, path),
    }
    return SavedModel(path, model, description)


def load(path):
    try:
        with warnings.catch_warnings():
            # On the optimizer's state, which is not used.
            warnings.simplefilter("ignore")
            return keras.saving.load_model(path)
    except Exception as error:
        # Keras raises whatever comes up inside of a damaged file.
        raise ValueError(
            f"Cannot load {path}: {reason(error)}. Expected a .keras "
            "file of layers that are registered with "
            "`keras.saving.register_keras_serializable`."
        ) from error


def evaluate(model, samples, path):
    """The loss and the metrics of a model by name; raises if it cannot."""
    try:
        outputs = model.predict(take_rows(samples.x, slice(TRIED)), verbose=0)
        sparse = "sparse_categorical" in in_words(model.loss)
        if sparse and isinstance(outputs, np.ndarray):
            # Not every backend complains of a label without an output.
            classes, units = np.max(samples.y) + 1, outputs.shape[-1]
            if units < classes:
                raise ValueError(
                    f"expected an output for each of the {classes} classes, "
                    f"received {units}"
                )
        results = model.evaluate(
            samples.x, samples.y, batch_size=1000, verbose=0, return_dict=True
        )
        if not np.isfinite(results["loss"]):
            raise ValueError(
                f"its loss there is {results['loss']}, expected a model whose "
                "training has not diverged"
            )
    except Exception as error:
        shapes = keras.tree.map_structure(lambda a: a.shape[1:], samples.x)
        raise ValueError(
            f"The model {path} does not fit {samples.description['title']}, "
            f"with samples of shape {shapes}: {reason(error)}"
        ) from error
    return {
        name: float(value)
        for name, value in results.items()
        if not name.endswith("_loss")
    }
