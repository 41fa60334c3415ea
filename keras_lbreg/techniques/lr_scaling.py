"""Learning-rate scaling: a larger rate for a larger batch."""

from keras_lbreg.techniques.technique import SearchRange, Technique


def scale(hp, ctx):
    return {"rule": hp["rule"], "warmup_epochs": hp["warmup_epochs"]}


LR_SCALING = Technique(
    name="lr_scaling",
    title="Learning-rate scaling",
    symbol="LR",
    paper="Hoffer et al. 2017, https://arxiv.org/abs/1705.08741",
    card="learning_rate_scaling",
    public_names=("scale_learning_rate", "WarmUp"),
    defaults={"rule": "sqrt", "warmup_epochs": 0},
    search_space={
        "rule": SearchRange(choices=("sqrt", "linear")),
        "warmup_epochs": SearchRange(0, 5),
    },
    helps_when="always first: it costs nothing and all others build on it",
    regime=scale,
)
