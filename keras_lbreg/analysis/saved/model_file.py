"""A saved model, ready to be analysed."""

import dataclasses
import hashlib
import math
import pathlib
import re
import warnings
import zipfile

import keras

from keras_lbreg.analysis.saved.choose_loss import choose_loss, first_sentence
from keras_lbreg.layers.dreg_layer import DRegLayer
from keras_lbreg.layers.ghost_batch_normalization import (
    GhostBatchNormalization,
)
from keras_lbreg.models.apply_ghost_batch_norm import strip_ghost_batch_norm
from keras_lbreg.models.layer_search import find_layers, is_graph_model
from keras_lbreg.models.strip_dreg import strip_dreg


@dataclasses.dataclass(frozen=True, eq=False)
class ModelFile:
    """A model of a `.keras` file.

    Args:
        path: The file.
        name: What to call it beside others.
        sha256: Checksum of the file.
        model: The plain `keras.Model`.
        loss: The `keras.losses.Loss` to analyse it with.
        notes: Sentences on what was assumed or changed.

    Example:

    >>> read_models(["small.keras"], samples)[0].name
    'small'

    Reference: `read_models`.
    """

    path: pathlib.Path
    name: str
    sha256: str
    model: keras.Model
    loss: keras.losses.Loss
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


def read_models(paths, samples):
    """Load models and check that they fit the data.

    Args:
        paths: Their `.keras` files.
        samples: The `Samples`.

    Returns:
        A list of `ModelFile`s.

    Raises:
        ValueError: A file is missing, damaged or no model, or the model does
            not fit the data.

    Example:

    >>> read_models(["small.keras", "large.keras"], samples)

    Reference: `keras.saving.load_model`.
    """
    paths = [pathlib.Path(path) for path in paths]
    for path in paths:
        if path.suffix != ".keras" or not path.is_file():
            raise ValueError(
                "Invalid value for argument `MODELS`. Expected files that "
                "exist and end in .keras, as `lbreg train --out` and "
                f"`model.save` write them. Received: {str(path)!r}"
            )
    return [
        read_model(path, name, samples)
        for path, name in zip(paths, short_names(paths), strict=True)
    ]


def read_model(path, name, samples):
    """Load one model; what only training needs is taken out of it."""
    model = load(path)
    loss, note = choose_loss(model, samples, path)
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
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    return ModelFile(path, name, checksum, model, loss, tuple(notes))


def load(path):
    try:
        with warnings.catch_warnings():
            # On the optimizer's state, which is not used.
            warnings.simplefilter("ignore")
            return keras.saving.load_model(path)
    except Exception as error:
        # Keras raises whatever comes up inside of a damaged file.
        raise ValueError(
            f"Cannot load {path}: {why(path, error)}. Expected a .keras "
            "file of layers of Keras and of keras_lbreg. Analyse a "
            "model with classes of your own from Python, with the functions "
            "of keras_lbreg.analysis."
        ) from error


def why(path, error):
    """The heart of an error of `load_model`, which can be pages long."""
    if not zipfile.is_zipfile(path):
        return "it is no archive, or a part of one"
    unknown = re.search(r"Could not locate (\w+ '[^']+')", str(error))
    if unknown:
        return f"it needs the {unknown[1]}, which is not known here"
    return first_sentence(error)


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
