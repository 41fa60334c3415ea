"""GradientMix: random convex weights for parts of the batch."""

from keras_lbreg.techniques.technique import SearchRange, Technique


def mix(batches, hp, ctx):
    from keras_lbreg.data.mix_sample_weights import mix_sample_weights

    return mix_sample_weights(
        batches, seed=ctx.seed, initial_step=ctx.initial_step, **hp
    )


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
        "groups": SearchRange(choices=(4, 8, 16, 32)),
        "concentration": SearchRange(0.1, 10.0, log=True),
    },
    helps_when="several devices share the batch and average too well",
    data=mix,
)
