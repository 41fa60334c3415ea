"""Annealed Gaussian noise on the gradient."""

from keras_lbreg.techniques.technique import SearchRange, Technique


def add_noise(optimizer, hp, ctx):
    from keras_lbreg.optimizers.gradient_noise import GradientNoise

    return GradientNoise(optimizer, seed=ctx.seed, **hp)


GRADIENT_NOISE = Technique(
    name="gradient_noise",
    title="Annealed gradient noise",
    symbol="noise",
    paper="Neelakantan et al. 2015, https://arxiv.org/abs/1511.06807; "
    "Jaiswal and Taura",
    card="gradient_noise",
    public_names=("GradientNoise",),
    defaults={"alpha": 1e-5, "gamma": 0.55},
    search_space={
        "alpha": SearchRange(1e-7, 1e-1, log=True),
        "gamma": SearchRange(0.3, 0.8),
    },
    helps_when="the large batch's gradient has lost the small one's noise",
    optimizer=add_noise,
)
