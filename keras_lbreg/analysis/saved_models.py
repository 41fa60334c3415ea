"""Saved models, samples of a workload, and what is measured of them once."""

import dataclasses
import hashlib
import math
import pathlib
import re
import time
import warnings
import zipfile
from collections.abc import Callable

import keras
import numpy as np

from keras_lbreg.analysis.gradient_noise_scale import gradient_noise_scale
from keras_lbreg.analysis.hessian_top_eigenvalue import hessian_top_eigenvalue
from keras_lbreg.analysis.interpolate import interpolate
from keras_lbreg.analysis.sharpness import sharpness
from keras_lbreg.checks import check_positive_int
from keras_lbreg.data.samples import (
    check_data,
    count_samples,
    is_tf_dataset,
    take_rows,
)
from keras_lbreg.files import read_json, write_json
from keras_lbreg.layers.dreg_layer import DRegLayer
from keras_lbreg.layers.ghost_batch_normalization import (
    GhostBatchNormalization,
)
from keras_lbreg.models._keras_trainer import compile_arguments
from keras_lbreg.models.apply_dreg import strip_dreg
from keras_lbreg.models.apply_ghost_batch_norm import strip_ghost_batch_norm
from keras_lbreg.models.layer_search import find_layers, is_graph_model
from keras_lbreg.training.data import digest_of, is_batched
from keras_lbreg.training.environment import environment
from keras_lbreg.training.examine import build_plain

SCHEMA = 2

FUNCTIONS = {
    "sharpness": sharpness,
    "hessian": hessian_top_eigenvalue,
    "noise": gradient_noise_scale,
}

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
    # Not the first samples: data may be sorted by class.
    if split not in SPLITS:
        raise ValueError(
            "Invalid value for argument `split`. Expected 'train' or 'val'. "
            f"Received: split={split!r}"
        )
    data = workload.train_data if split == "train" else workload.validation_data
    if callable(data) and not is_tf_dataset(data):
        data = check_data("data", data())
    if is_tf_dataset(data):
        data = arrays_of(data, workload)
    data = tuple(data)[:2]
    there = count_samples(data)
    if count is not None:
        check_positive_int("samples", count)
        if count < there:
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


def arrays_of(dataset, workload):
    """A `tf.data.Dataset` as arrays, samples first."""
    rank = len(build_plain(workload, 1).inputs[0].shape)
    dataset = dataset if is_batched(dataset, rank) else dataset.batch(1024)
    return keras.tree.map_structure(
        lambda *parts: np.concatenate(parts), *dataset.as_numpy_iterator()
    )


@dataclasses.dataclass(frozen=True, eq=False)
class SavedModel:
    """A model of a `.keras` file, plain, compiled with loss and accuracy."""

    path: pathlib.Path
    name: str
    sha256: str
    model: keras.Model
    notes: tuple

    @property
    def description(self):
        return {
            "name": self.name,
            "file": self.path.name,
            "sha256": self.sha256,
            "parameters": sum(
                math.prod(v.shape) for v in self.model.trainable_variables
            ),
            "notes": list(self.notes),
        }


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
        if find_layers(model, lambda layer: isinstance(layer, DRegLayer)):
            model = strip_dreg(model)
            notes.append("without the path of DReg that is not active")
        if find_layers(
            model, lambda layer: isinstance(layer, GhostBatchNormalization)
        ):
            # It infers just so; other tools expect the plain layer.
            model = strip_ghost_batch_norm(model)
    model.compile(**arguments)
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    return SavedModel(path, name, checksum, model, tuple(notes))


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
        check_classes(outputs, samples.y)
        return outputs
    except Exception as error:
        shapes = keras.tree.map_structure(lambda a: a.shape[1:], samples.x)
        raise ValueError(
            f"The model {path} does not fit {samples.description['title']}, "
            f"with samples of shape {shapes}: {first_sentence(error)}"
        ) from error


def check_classes(outputs, y):
    if not are_labels(outputs, y) or outputs.shape[1] == 1:
        return
    if np.max(y) >= outputs.shape[1]:
        raise ValueError(
            f"expected an output for each of the {np.max(y) + 1} classes, "
            f"received {outputs.shape[1]}"
        )


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
        sums = outputs.sum(axis=-1)
        from_logits = not (
            np.all(outputs >= 0) and np.allclose(sums, 1, atol=1e-2)
        )
        note = (
            "assumed, as the model is not compiled and its outputs "
            f"{'do not add' if from_logits else 'add'} up to 1"
        )
        loss = with_logits(loss, from_logits)
    if are_labels(outputs, samples.y):
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits)
    kind = "logits" if from_logits else "probabilities"
    words = f"loss: crossentropy of {kind} ({note})"
    return {"loss": loss, "metrics": ["accuracy"]}, words


def with_logits(loss, from_logits):
    if not hasattr(loss, "get_config"):
        name = "".join(part.title() for part in loss.__name__.split("_"))
        return getattr(keras.losses, name)(from_logits=from_logits)
    config = {**loss.get_config(), "from_logits": from_logits}
    return type(loss).from_config(config)


def short_names(paths):
    """The files' stems, with as many folders before them as it takes."""
    files = [path.resolve().with_suffix("") for path in paths]
    depth = 1
    while True:
        names = [pathlib.PurePath(*file.parts[-depth:]) for file in files]
        # One file may be given twice.
        if len(set(names)) == len(set(files)):
            return [name.as_posix() for name in names]
        depth += 1


@dataclasses.dataclass(frozen=True)
class Job:
    """One result to be had: `run(on_progress)` returns it as plain data."""

    measure: str
    models: tuple
    samples: Samples
    settings: dict
    run: Callable
    total: int | None = None

    @property
    def title(self):
        text = " to ".join(model.name for model in self.models)
        epsilon = self.settings.get("epsilon")
        return text if epsilon is None else f"{text}, ε = {epsilon:g}"

    def record(self):
        """The record without its result."""
        return {
            "models": [model.description for model in self.models],
            "data": self.samples.description,
            "settings": self.settings,
        }


def model_job(measure, model, samples, settings):
    """The `Job` of one of the public functions on one model."""

    def run(on_progress):
        found = FUNCTIONS[measure](
            model.model,
            samples.x,
            samples.y,
            on_progress=on_progress,
            **settings,
        )
        # Infinity is null in JSON, and an eigenvector is long.
        values = {
            name: None if value == float("inf") else value
            for name, value in vars(found).items()
            if name != "eigenvector"
        }
        return {**fit_of(model.model, samples), **values}

    total = settings.get("pairs")
    return Job(measure, (model,), samples, settings, run, total)


def fit_of(model, samples):
    """Loss, and accuracy of a classifier, on the samples."""
    results = model.evaluate(
        samples.x, samples.y, batch_size=1000, verbose=0, return_dict=True
    )
    return {k: v for k, v in results.items() if k in ("loss", "accuracy")}


def line_job(models, samples, others, positions, statistics):
    """The `Job` of the line through two models, on both parts of the data."""
    first, second = (model.model for model in models)
    data = {"train": (samples.x, samples.y), "val": (others.x, others.y)}

    def run(on_progress):
        line = interpolate(
            first,
            second,
            data,
            positions,
            statistics,
            samples.x,
            on_progress=on_progress,
        )
        result = {"positions": positions, "loss": finite(line.loss)}
        if "accuracy" in fit_of(first, others):
            result["accuracy"] = finite(line.accuracy)
        return result

    settings = {
        "positions": positions,
        "statistics": statistics,
        "validation": others.description,
    }
    total = len(positions)
    return Job("interpolate", models, samples, settings, run, total)


def finite(curves):
    """Curves as JSON takes them."""
    return {
        name: [float(v) if np.isfinite(v) else None for v in values]
        for name, values in curves.items()
    }


class RecordBook:
    """Results of one diagnostic in a JSON file, each computed once.

    The file is replaced as a whole after each result, so that an interruption
    loses at most the one in the making. A damaged file is left as it is.
    """

    def __init__(self, file, measure, fresh=False):
        self.file = pathlib.Path(file)
        self.measure = measure
        self.records = []
        if not self.file.exists() or fresh:
            return
        content = read_json(self.file)
        try:
            if (content["schema"], content["analysis"]) != (SCHEMA, measure):
                raise ValueError("it is of another diagnostic or version")
            self.records = list(content["records"])
            for record in self.records:
                identity(record)
                if not isinstance(record["result"], dict):
                    raise ValueError("a result is missing")
                float(record["seconds"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"Cannot read {self.file}: it does not hold results of "
                f"{measure!r} as this version writes them ({error}). Nothing "
                "was changed. Move it away, use another folder, or start "
                "again with `fresh`."
            ) from error

    def result_of(self, job, on_progress):
        """The record of a job, and whether it was there before."""
        record = job.record()
        for found in self.records:
            if identity(found) == identity(record):
                # The file may have been renamed since.
                return {**found, "models": record["models"]}, True
        start = time.perf_counter()
        try:
            record["result"] = job.run(on_progress)
        except (ValueError, RuntimeError) as error:
            names = " and ".join(str(model.path) for model in job.models)
            kind = ValueError if isinstance(error, ValueError) else RuntimeError
            raise kind(f"{names}: {error}") from error
        record["seconds"] = time.perf_counter() - start
        record["environment"] = environment()
        self.records.append(record)
        write_json(
            self.file,
            {
                "schema": SCHEMA,
                "analysis": self.measure,
                "records": self.records,
            },
        )
        return record, False


def identity(record):
    """What makes one result differ from another; names of files do not."""
    return (
        [model["sha256"] for model in record["models"]],
        record["data"]["checksum"],
        record["settings"],
    )
