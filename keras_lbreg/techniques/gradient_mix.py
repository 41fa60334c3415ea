"""GradientMix: random convex weights for parts of the batch."""

from keras_lbreg.techniques.technique import SearchRange, Technique


def is_in_optimizer(hp, ctx):
    """Whether the replicas are the groups, so that the optimizer mixes."""
    return 1 < hp["groups"] == ctx.replicas


def mix_replicas(optimizer, hp, ctx):
    if not is_in_optimizer(hp, ctx):
        return optimizer
    from keras_lbreg.optimizers.gradient_mix import GradientMix

    return GradientMix(
        optimizer, concentration=hp["concentration"], seed=ctx.seed
    )


def mix_samples(batches, hp, ctx):
    if is_in_optimizer(hp, ctx):
        return batches
    from keras_lbreg.data.mix_sample_weights import mix_sample_weights

    return mix_sample_weights(
        batches, seed=ctx.seed, initial_step=ctx.initial_step, **hp
    )


def groups_that_divide(model, ctx):
    """Numbers of equal groups; that of the replicas mixes in the optimizer."""
    numbers = sorted({4, 8, 16, 32, ctx.replicas} - {1})
    return tuple(x for x in numbers if ctx.batch_size % x == 0)


def say_where(hp, ctx):
    if is_in_optimizer(hp, ctx):
        return "in the optimizer, a group is a replica"
    return "by sample weights" if ctx.replicas > 1 else ""


GRADIENT_MIX = Technique(
    name="gradient_mix",
    title="GradientMix",
    symbol="mix",
    paper="ICLR 2023 submission; the mixing law is ours",
    card="gradient_mix",
    public_names=(
        "GradientMix",
        "GradientMixCrossDeviceOps",
        "mix_sample_weights",
    ),
    defaults={"groups": 8, "concentration": 1.0},
    search_space={
        "groups": SearchRange(choices=groups_that_divide),
        "concentration": SearchRange(0.1, 10.0, log=True),
    },
    helps_when="several devices share the batch and average too well",
    optimizer=mix_replicas,
    data=mix_samples,
    note=say_where,
)
