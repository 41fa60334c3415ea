"""Ghost batch normalization: statistics over small parts of the batch."""

from keras_lbreg.techniques.technique import SearchRange, Technique


def use_ghosts(model, hp, ctx):
    from keras_lbreg.models.apply_ghost_batch_norm import (
        apply_ghost_batch_norm,
    )

    return apply_ghost_batch_norm(model, **hp)


def sizes_that_divide(model, ctx):
    """Ghost sizes that cut a replica's batch into several equal ghosts."""
    batch = ctx.batch_size // ctx.replicas
    sizes = sorted({16, 32, 64, 128, 256, ctx.base_batch_size})
    return tuple(x for x in sizes if x < batch and batch % x == 0)


def plain_again(model):
    from keras_lbreg.models.apply_ghost_batch_norm import (
        strip_ghost_batch_norm,
    )

    return strip_ghost_batch_norm(model)


GHOST_BATCH_NORM = Technique(
    name="ghost_batch_norm",
    title="Ghost batch normalization",
    symbol="GBN",
    paper="Hoffer et al. 2017, https://arxiv.org/abs/1705.08741",
    card="ghost_batch_normalization",
    public_names=("GhostBatchNormalization", "apply_ghost_batch_norm"),
    defaults={"ghost_batch_size": 128, "statistics": "sequential"},
    search_space={
        "ghost_batch_size": SearchRange(choices=sizes_that_divide),
    },
    helps_when="the network has batch normalization",
    model=use_ghosts,
    finalize=plain_again,
)
