"""Multiplicative Gaussian weights for parts of the batch."""

from keras_lbreg.techniques.gradient_mix import groups_that_divide
from keras_lbreg.techniques.technique import SearchRange, Technique


def weigh(batches, hp, ctx):
    from keras_lbreg.data.mix_sample_weights import mix_sample_weights

    return mix_sample_weights(
        batches,
        law="gaussian",
        seed=ctx.seed,
        initial_step=ctx.initial_step,
        **hp,
    )


GROUP_NOISE = Technique(
    name="group_noise",
    title="Multiplicative group noise",
    symbol="group-noise",
    paper="Hoffer et al. 2017 (multiplicative noise), "
    "https://arxiv.org/abs/1705.08741",
    card="gradient_mix",
    public_names=("mix_sample_weights",),
    defaults={"groups": 8, "stddev": 1.0},
    search_space={
        "groups": SearchRange(choices=groups_that_divide),
        "stddev": SearchRange(0.1, 4.0, log=True),
    },
    helps_when="as GradientMix, with weights that need not sum to one",
    data=weigh,
    alternative_to="gradient_mix",
)
