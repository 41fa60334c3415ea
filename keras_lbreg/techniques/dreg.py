"""Distinctive regularization: two paths through one doubled layer."""

from keras_lbreg.techniques.technique import SearchRange, Technique

# A deep network has dozens of layers; the paper recommends the late ones.
MOST_LAYERS = 8


def duplicate_layer(model, hp, ctx):
    from keras_lbreg.models.apply_dreg import apply_dreg

    layer = ctx.dreg_layer if hp["layer"] is None else hp["layer"]
    return apply_dreg(model, seed=ctx.seed, **{**hp, "layer": layer})


def late_layers(model, ctx):
    """The paths of the candidates closest to the output."""
    from keras_lbreg.models.apply_dreg import dreg_candidates

    return tuple(dreg_candidates(model))[-MOST_LAYERS:]


def select_path(hp, ctx):
    from keras_lbreg.callbacks.dreg_path_selection import DRegPathSelection

    return [DRegPathSelection(ctx.validation_data)]


def plain_again(model):
    from keras_lbreg.models.strip_dreg import strip_dreg

    return strip_dreg(model)


DREG = Technique(
    name="dreg",
    title="Distinctive regularization",
    symbol="DReg",
    paper="Yuan et al. 2020, https://arxiv.org/abs/2011.08968",
    card="dreg",
    public_names=(
        "DRegConv2D",
        "DRegDepthwiseConv2D",
        "DRegDense",
        "DRegModel",
        "DRegPathSelection",
        "apply_dreg",
    ),
    defaults={
        "weight": 0.01,
        "distance": "bounded",
        "max_distance": None,
        "paths": "both",
        "path_reduction": "sum",
        # The recipe's layer, `Context.dreg_layer`.
        "layer": None,
    },
    search_space={
        "weight": SearchRange(1e-3, 1.0, log=True),
        "distance": SearchRange(choices=("bounded", "frobenius")),
        "path_reduction": SearchRange(choices=("sum", "mean")),
        "layer": SearchRange(choices=late_layers),
    },
    helps_when="the batch is very large (the paper: from 4,096 on)",
    model=duplicate_layer,
    callbacks=select_path,
    finalize=plain_again,
)
