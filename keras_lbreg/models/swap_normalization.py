"""Replacing the batch normalization layers of a model."""

import warnings

import keras

from keras_lbreg.layers.path_normalization import PathNormalization
from keras_lbreg.models.layer_search import (
    check_graph_model,
    find_hidden_layers,
    find_layers,
    resolve_layer,
)
from keras_lbreg.models.surgery import rebuild
from keras_lbreg.warnings import NoEffectWarning


def swap_normalization(model, source_classes, convert, layers, instead):
    """Rebuilds a model with its batch normalization layers converted.

    A `PathNormalization`, which `apply_dreg` wraps around such a layer, stays
    around its conversion.

    Args:
        model: A Functional or Sequential model.
        source_classes: The classes to convert. Subclasses are left alone: they
            may do something else.
        convert: Callable from a layer to the one that is to replace it.
        layers: The layers to convert (see `apply_ghost_batch_norm`), or `None`
            for all.
        instead: A sentence that says what to do where surgery cannot reach.

    Returns:
        The new model.
    """

    def is_source(layer):
        return type(_unwrapped(layer)) in source_classes

    check_graph_model(model, instead)
    candidates = find_layers(model, is_source)
    if layers is None:
        _refuse_hidden(model, is_source, instead)
        chosen = list(candidates.values())
    else:
        if isinstance(layers, (str, int, keras.layers.Layer)):
            layers = [layers]
        chosen = [
            resolve_layer(model, which, candidates, "layers")
            for which in layers
        ]
    if not chosen:
        names = " or ".join(c.__name__ for c in source_classes)
        warnings.warn(
            f"Model '{model.name}' has no {names} layer to convert: it is "
            "copied as it is.",
            NoEffectWarning,
            stacklevel=3,
        )
    chosen_ids = {id(layer) for layer in chosen}
    return rebuild(
        model,
        lambda layer: (
            _convert(layer, convert) if id(layer) in chosen_ids else None
        ),
    )


def _convert(layer, convert):
    if not isinstance(layer, PathNormalization):
        return convert(layer)
    return PathNormalization(
        convert(layer.layer), name=layer.name, dtype=layer.dtype_policy
    )


def _unwrapped(layer):
    return layer.layer if isinstance(layer, PathNormalization) else layer


def _refuse_hidden(model, is_source, instead):
    hidden = find_hidden_layers(model, is_source)
    if hidden:
        raise ValueError(
            "Invalid value for argument `model`. Expected batch normalization "
            "in Functional and Sequential models only. These layers are inside "
            f"a subclassed model or a composite layer: {hidden}. {instead} To "
            "convert the other layers alone, name them in `layers`. "
            f"Received: model={model!r}"
        )
