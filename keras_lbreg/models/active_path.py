"""Reading and choosing the path that DReg models use at inference."""

from keras_lbreg.models._keras_graph import sublayers


def path_layers(model):
    """All layers in `model`, at any depth, that have two paths."""
    return [
        layer for layer in sublayers(model) if hasattr(layer, "left_active")
    ]


def get_active_path(model):
    """`"right"` or `"left"`; raises if `model` has no DReg layer."""
    layers = path_layers(model)
    if not layers:
        raise ValueError(
            "Invalid value for argument `model`. Expected a model with a DReg "
            "layer, as `keras_lbreg.apply_dreg` makes it. Received: "
            f"model={model!r}"
        )
    return layers[0].active_path


def set_active_path(model, path):
    """Makes all layers of `model` use one path at inference."""
    for layer in path_layers(model):
        layer.active_path = path
