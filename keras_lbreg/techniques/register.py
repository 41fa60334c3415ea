"""Every technique, with what it does to a run.

The order is that in which arms and tables name them. A new technique is one
more `Technique` here: it then has an arm, a row in the tables, a part of the
search space and its options on the command line.
"""

import dataclasses
import inspect

# Its names are loaded when a hook is called: this module chooses no backend.
import keras_lbreg as lbreg
from keras_lbreg.checks import invalid
from keras_lbreg.techniques.technique import SearchRange, Technique


def call(name, *values, **settings):
    """The text of a call of one of the package's public names."""
    given = [*values, *(f"{k}={v!r}" for k, v in settings.items())]
    return f"lbreg.{name}({', '.join(given)})"


LR_SCALING = Technique(
    name="lr_scaling",
    title="Learning-rate scaling",
    does=(
        "raises the learning rate with the batch: by the square root of "
        "their ratio, or by the ratio itself"
    ),
    symbol="LR",
    paper="Hoffer et al. 2017, https://arxiv.org/abs/1705.08741",
    card="learning_rate_scaling",
    # Warm-up may end within an epoch: 0.5.
    defaults={"rule": "sqrt", "warmup_epochs": 0, "final_fraction": None},
    search_space={
        "rule": SearchRange(choices=("sqrt", "linear")),
        "warmup_epochs": SearchRange(0, 5),
    },
    helps_when="always: it comes first, and the others build on it",
    regime=lambda hp, ctx: hp,
)


def chain(optimizer):
    """An optimizer and those inside it, from the outside in."""
    while optimizer is not None:
        yield optimizer
        optimizer = getattr(optimizer, "inner_optimizer", None)


def innermost(optimizer):
    return list(chain(optimizer))[-1]


def adaptive_settings(optimizer, ctx):
    """What the square-root rule makes of an adaptive optimizer's settings."""
    from keras_lbreg.schedules.scale_adam import scale_decay

    optimizer = innermost(optimizer)
    k = ctx.batch_size / ctx.base_batch_size
    scaled = {
        name: scale_decay(name, getattr(optimizer, name), k)
        for name in ("beta_1", "beta_2", "rho")
        if isinstance(getattr(optimizer, name, None), float)
    }
    epsilon = getattr(optimizer, "epsilon", None)
    if scaled and epsilon is not None:
        scaled["epsilon"] = epsilon / k**0.5
    return scaled


def scale_decays(optimizer, hp, ctx):
    for name, value in adaptive_settings(optimizer, ctx).items():
        setattr(innermost(optimizer), name, value)
    return optimizer


def say_decays(hp, ctx):
    k = ctx.batch_size / ctx.base_batch_size
    return f"1 - beta x{k:.4g}, at most 1; epsilon / {k**0.5:.4g}"


def not_adaptive(model, ctx):
    if not adaptive_settings(model.optimizer, ctx):
        return (
            "The optimizer keeps no averages of squared gradients, as Adam "
            "and RMSprop do."
        )
    return ""


ADAM_SCALING = Technique(
    name="adam_scaling",
    title="Scaling of adaptive optimizers",
    does="scales the decays and epsilon of Adam and alike with the batch",
    symbol="betas",
    paper="Malladi et al. 2022, https://arxiv.org/abs/2205.10287",
    card="adaptive_optimizers",
    helps_when="the optimizer is Adam or alike, and the batch not too large",
    regime=lambda hp, ctx: {"rule": "sqrt"},
    optimizer=scale_decays,
    note=say_decays,
    unfit=not_adaptive,
)


def averaging(optimizer):
    """The optimizers of a chain that average weights."""
    return [x for x in chain(optimizer) if getattr(x, "use_ema", False)]


def scale_weight_average(optimizer, hp, ctx):
    for part in averaging(optimizer):
        part.ema_momentum = lbreg.scale_momentum(
            part.ema_momentum, ctx.base_batch_size, ctx.batch_size
        )
    return optimizer


def no_average(model, ctx):
    if averaging(model.optimizer):
        return ""
    return "The optimizer keeps no moving average of weights (`use_ema`)."


AVERAGE_SCALING = Technique(
    name="average_scaling",
    title="Scaling of weight averages",
    does="lets an average of weights reach back over as many samples",
    symbol="EMA",
    paper="Busbridge et al. 2023, https://arxiv.org/abs/2307.13813",
    card="adaptive_optimizers",
    helps_when="the optimizer keeps a moving average of the weights",
    optimizer=scale_weight_average,
    note=lambda hp, ctx: (
        f"momentum ** {ctx.batch_size / ctx.base_batch_size:.4g}"
    ),
    unfit=no_average,
)


def use_nesterov(optimizer, hp, ctx):
    innermost(optimizer).nesterov = True
    return optimizer


def no_momentum(model, ctx):
    optimizer = innermost(model.optimizer)
    if not getattr(optimizer, "momentum", 0) or not hasattr(
        optimizer, "nesterov"
    ):
        return "The optimizer is no SGD with momentum."
    return "It is Nesterov's already." if optimizer.nesterov else ""


NESTEROV = Technique(
    name="nesterov",
    title="Nesterov momentum",
    does="lets SGD look ahead by its momentum",
    symbol="Nesterov",
    paper="Nado et al. 2021, https://arxiv.org/abs/2102.06356",
    card="learning_rate_scaling",
    helps_when="the optimizer is SGD with momentum",
    optimizer=use_nesterov,
    unfit=no_momentum,
)


def replaced(optimizer, kind):
    """An optimizer with the same settings and wrappers, of another class."""
    made = with_innermost(optimizer, kind)
    # Keras publishes no way to ask what is excluded (checked on 3.15).
    for name in (
        "_exclude_from_weight_decay",
        "_exclude_from_weight_decay_pattern",
    ):
        for new, old in zip(chain(made), chain(optimizer), strict=True):
            if hasattr(old, name):
                setattr(new, name, getattr(old, name))
    return made


def with_innermost(optimizer, kind):
    import keras

    config = optimizer.get_config()
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None:
        inner = keras.optimizers.serialize(with_innermost(inner, kind))
        return type(optimizer).from_config({**config, "inner_optimizer": inner})
    known = inspect.signature(kind).parameters.keys() - {"name"}
    return kind.from_config({k: v for k, v in config.items() if k in known})


def is_none_of(kinds):
    """The reason where the model's optimizer is of none of these classes."""

    def reason(model, ctx):
        import keras

        optimizer = innermost(model.optimizer)
        if type(optimizer) in [getattr(keras.optimizers, x) for x in kinds]:
            return ""
        return (
            f"It takes the place of {' or '.join(kinds)}, whose learning rates "
            f"it has. Received: {type(optimizer).__name__}."
        )

    return reason


LARS = Technique(
    name="lars",
    title="LARS",
    does="scales SGD's rate in each layer by the norms of weights and gradient",
    symbol="LARS",
    paper="You et al. 2017, https://arxiv.org/abs/1708.03888",
    card="lars",
    helps_when="tuned SGD diverges; else it matches LARS (Nado et al. 2021)",
    optimizer=lambda optimizer, hp, ctx: replaced(optimizer, lbreg.LARS),
    unfit=is_none_of(["SGD"]),
    rate_range=(1.0, 64.0),
)


def use_lamb(optimizer, hp, ctx):
    import keras

    return replaced(optimizer, keras.optimizers.Lamb)


LAMB = Technique(
    name="lamb",
    title="LAMB",
    does="scales Adam's update in each layer by norms of weights and update",
    symbol="LAMB",
    paper="You et al. 2020, https://arxiv.org/abs/1904.00962",
    card="lars",
    helps_when="tuned Adam diverges; else it matches LAMB (Nado et al. 2021)",
    optimizer=use_lamb,
    unfit=is_none_of(["Adam", "AdamW"]),
    rate_range=(0.5, 16.0),
)


def sizes_that_divide(model, ctx):
    """Ghost sizes that cut a replica's batch into several equal ghosts."""
    batch = ctx.batch_size // ctx.replicas
    sizes = sorted({16, 32, 64, 128, 256, ctx.base_batch_size})
    return tuple(x for x in sizes if x < batch and batch % x == 0)


def no_ghosts(model, ctx):
    import keras

    from keras_lbreg.models.layer_search import find_hidden_layers, find_layers

    def is_norm(layer):
        return type(layer) in (
            keras.layers.BatchNormalization,
            lbreg.GhostBatchNormalization,
        )

    hidden = find_hidden_layers(model, is_norm)
    if hidden:
        return (
            "Its batch normalization is inside a subclassed model or a "
            f"composite layer ({hidden[0]}), where it cannot be replaced."
        )
    layers = find_layers(model, is_norm)
    if not layers:
        return "The model has no `keras.layers.BatchNormalization`."
    if any(layer.synchronized for layer in layers.values()):
        return "Its batch normalization is synchronized over replicas."
    return ""


GHOST_BATCH_NORM = Technique(
    name="ghost_batch_norm",
    title="Ghost batch normalization",
    does=(
        "normalizes small parts of the batch, each with statistics of its own"
    ),
    symbol="GBN",
    paper="Hoffer et al. 2017, https://arxiv.org/abs/1705.08741",
    card="ghost_batch_normalization",
    defaults={"ghost_batch_size": 128, "statistics": "sequential"},
    search_space={
        "ghost_batch_size": SearchRange(choices=sizes_that_divide),
    },
    helps_when="batch normalization lags behind; no other gain was measured",
    model=lambda model, hp, ctx: lbreg.apply_ghost_batch_norm(model, **hp),
    finalize=lambda model: lbreg.strip_ghost_batch_norm(model),
    code=lambda model, hp, ctx: {
        "model": f"model = {call('apply_ghost_batch_norm', 'model', **hp)}",
        "after": f"model = {call('strip_ghost_batch_norm', 'model')}",
    },
    unfit=no_ghosts,
)

REGIME_ADAPTATION = Technique(
    name="regime_adaptation",
    title="Regime adaptation",
    does=(
        "makes as many updates as the small batch, in as many times the "
        "epochs as the batch is larger"
    ),
    symbol="RA",
    paper="Hoffer et al. 2017, https://arxiv.org/abs/1705.08741",
    card="regime_adaptation",
    helps_when="time is there: it processes B_L / B_S times the samples",
    regime=lambda hp, ctx: {"stretch": True},
)


def noisy_already(model, ctx):
    if any(isinstance(x, lbreg.GradientNoise) for x in chain(model.optimizer)):
        return "The workload's own optimizer adds noise already."
    return ""


GRADIENT_NOISE = Technique(
    name="gradient_noise",
    title="Annealed gradient noise",
    does="adds Gaussian noise to the gradient, less with every update",
    symbol="noise",
    paper="Neelakantan et al. 2015, https://arxiv.org/abs/1511.06807; "
    "Jaiswal and Taura",
    card="gradient_noise",
    defaults={"alpha": 1e-5, "gamma": 0.55},
    search_space={
        "alpha": SearchRange(1e-7, 1e-1, log=True),
        "gamma": SearchRange(0.3, 0.8),
    },
    helps_when="the large batch's gradient has lost the small one's noise",
    optimizer=lambda optimizer, hp, ctx: lbreg.GradientNoise(
        optimizer, seed=ctx.seed, **hp
    ),
    unfit=noisy_already,
    code=lambda model, hp, ctx: {
        "optimizer": f"optimizer = {call('GradientNoise', 'optimizer', **hp)}"
    },
)

# A deep network has dozens of layers; the paper recommends the late ones.
MOST_LAYERS = 8


def double_layer(model, hp, ctx):
    layer = recommended_layer(model) if hp["layer"] is None else hp["layer"]
    return lbreg.apply_dreg(model, seed=ctx.seed, **{**hp, "layer": layer})


def recommended_layer(model):
    """The last convolution, else the last layer before the output layer."""
    import keras

    from keras_lbreg.models.apply_dreg import dreg_candidates
    from keras_lbreg.models.path_graph import PathGraph

    candidates = dreg_candidates(model)
    if not all(isinstance(x, keras.layers.Dense) for x in candidates.values()):
        return "last_conv"
    ids = {id(layer) for layer in candidates.values()}

    def is_hidden(layer):
        graph = PathGraph(model, is_source=lambda x: x is layer)
        return not ids.isdisjoint(graph.forked_layers)

    paths = list(candidates)
    for path in reversed(paths):
        if is_hidden(candidates[path]):
            return path
    # The only layers are output layers.
    return paths[-1] if paths else "last_conv"


def late_layers(model, ctx):
    """Indices from the output: automatic names change from model to model."""
    from keras_lbreg.models.apply_dreg import dreg_candidates

    count = len({id(layer) for layer in dreg_candidates(model).values()})
    return tuple(range(-min(count, MOST_LAYERS), 0))


def write_paths(model, hp, ctx):
    settings = {k: v for k, v in hp.items() if v is not None}
    settings.setdefault("layer", recommended_layer(model))
    return {
        "model": f"model = {call('apply_dreg', 'model', **settings)}",
        "callback": call("DRegPathSelection", "validation_data"),
        "after": f"model = {call('strip_dreg', 'model')}",
    }


def nothing_to_double(model, ctx):
    from keras_lbreg.models.apply_dreg import dreg_candidates

    if not dreg_candidates(model):
        return (
            "The model has no layer that can be doubled: no Conv2D, "
            "DepthwiseConv2D or Dense."
        )
    return ""


DREG = Technique(
    name="dreg",
    title="Distinctive regularization",
    does=(
        "trains two copies of one layer, kept apart from each other, and "
        "keeps the better one"
    ),
    symbol="DReg",
    paper="Yuan et al. 2020, https://arxiv.org/abs/2011.08968",
    card="dreg",
    defaults={
        "weight": 0.01,
        "distance": "bounded",
        "max_distance": None,
        "paths": "both",
        "path_reduction": "sum",
        "layer": None,  # `recommended_layer`
    },
    search_space={
        "weight": SearchRange(1e-3, 1.0, log=True),
        "distance": SearchRange(choices=("bounded", "frobenius")),
        "path_reduction": SearchRange(choices=("sum", "mean")),
        "layer": SearchRange(choices=late_layers),
    },
    helps_when="the batch is very large (the paper: from 4,096 on)",
    model=double_layer,
    callbacks=lambda hp, ctx: [lbreg.DRegPathSelection(ctx.validation_data)],
    finalize=lambda model: lbreg.strip_dreg(model),
    code=write_paths,
    unfit=nothing_to_double,
)


def mixes_in_optimizer(hp, ctx):
    """Whether the replicas are the groups, so that the optimizer mixes."""
    return 1 < hp["groups"] == ctx.replicas


def mix_replicas(optimizer, hp, ctx):
    if not mixes_in_optimizer(hp, ctx):
        return optimizer
    return lbreg.GradientMix(
        optimizer, concentration=hp["concentration"], seed=ctx.seed
    )


def mix_samples(batches, hp, ctx, law="dirichlet"):
    if law == "dirichlet" and mixes_in_optimizer(hp, ctx):
        return batches
    return lbreg.mix_sample_weights(
        batches, law=law, seed=ctx.seed, initial_step=ctx.initial_step, **hp
    )


def write_mix(model, hp, ctx, law="dirichlet"):
    if law == "dirichlet" and mixes_in_optimizer(hp, ctx):
        settings = {"concentration": hp["concentration"]}
        made = call("GradientMix", "optimizer", **settings)
        return {"optimizer": f"optimizer = {made}"}
    # The Dirichlet law is the default.
    settings = dict(hp) if law == "dirichlet" else {**hp, "law": law}
    made = call("mix_sample_weights", "train_batches", **settings)
    return {"data": f"train_batches = {made}"}


def groups_that_divide(model, ctx):
    """Numbers of equal groups; that of the replicas mixes in the optimizer."""
    numbers = sorted({4, 8, 16, 32, ctx.replicas} - {1})
    return tuple(x for x in numbers if ctx.batch_size % x == 0)


def say_where(hp, ctx):
    if mixes_in_optimizer(hp, ctx):
        return "in the optimizer, a group is a replica"
    return "by sample weights" if ctx.replicas > 1 else ""


def no_groups(model, ctx):
    if ctx.batch_size < 2:
        return "A batch of one sample cannot be cut into groups."
    return ""


GRADIENT_MIX = Technique(
    name="gradient_mix",
    title="GradientMix",
    does="takes a random mean of the gradients of parts of the batch",
    symbol="mix",
    paper="ICLR 2023 submission; the mixing law is ours",
    card="gradient_mix",
    defaults={"groups": 8, "concentration": 1.0},
    search_space={
        "groups": SearchRange(choices=groups_that_divide),
        "concentration": SearchRange(0.1, 10.0, log=True),
    },
    helps_when="several devices share the batch and average too well",
    optimizer=mix_replicas,
    data=mix_samples,
    note=say_where,
    code=write_mix,
    unfit=no_groups,
)

GROUP_NOISE = Technique(
    name="group_noise",
    title="Multiplicative group noise",
    does=(
        "multiplies the gradients of parts of the batch by random numbers "
        "around one"
    ),
    symbol="group-noise",
    paper="Hoffer et al. 2017 (multiplicative noise), "
    "https://arxiv.org/abs/1705.08741",
    card="gradient_mix",
    defaults={"groups": 8, "stddev": 1.0},
    search_space={
        "groups": SearchRange(choices=groups_that_divide),
        "stddev": SearchRange(0.1, 4.0, log=True),
    },
    helps_when="as GradientMix, with weights that need not sum to one",
    data=lambda batches, hp, ctx: mix_samples(batches, hp, ctx, "gaussian"),
    code=lambda model, hp, ctx: write_mix(model, hp, ctx, "gaussian"),
    unfit=no_groups,
    alternative_to="gradient_mix",
)

TECHNIQUES = (
    LR_SCALING,
    ADAM_SCALING,
    AVERAGE_SCALING,
    NESTEROV,
    LARS,
    LAMB,
    GHOST_BATCH_NORM,
    REGIME_ADAPTATION,
    GRADIENT_NOISE,
    DREG,
    GRADIENT_MIX,
    GROUP_NOISE,
)

# They scale the optimizer with the batch, and regularize nothing: what the
# other techniques are measured against.
RATE_RULES = (
    "lr_scaling",
    "adam_scaling",
    "average_scaling",
    "nesterov",
    "lars",
    "lamb",
)

# They need a learning rate of their own, and are tried on request.
OPTIMIZERS = tuple(t.name for t in TECHNIQUES if t.rate_range)


def names():
    """Names of all techniques, in the register's order."""
    return [technique.name for technique in TECHNIQUES]


def get(name):
    """The technique of this name."""
    for technique in TECHNIQUES:
        if technique.name == name:
            return technique
    raise ValueError(
        f"Invalid technique. Expected one of {names()}. Received: {name!r}"
    )


def hooks(techniques, kind):
    """Pairs of a hook and its technique's settings, in the register's order.

    Args:
        techniques: All hyperparameters by name of each technique that is on.
        kind: Name of a hook, such as `"model"`.

    Example:

    >>> for hook, settings in hooks(techniques, "model"):
    ...     model = hook(model, settings, context)
    """
    return [
        (getattr(technique, kind), techniques[technique.name])
        for technique in TECHNIQUES
        if technique.name in techniques and getattr(technique, kind)
    ]


def check_hyperparameters(hyperparameters):
    """Raise unless these are settings by technique, each of the right kind.

    `try_out` finds the values that are out of range.

    Example:

    >>> check_hyperparameters({"dreg": {"weight": "much"}})
    ValueError: Invalid value for argument `dreg.weight`. ...
    """
    if not isinstance(hyperparameters, dict):
        expected = "a dictionary by technique"
        raise invalid("hyperparameters", expected, hyperparameters)
    for name, values in hyperparameters.items():
        technique = get(name)
        if not isinstance(values, dict):
            expected = f"a dictionary by hyperparameter for {name!r}"
            raise invalid("hyperparameters", expected, values)
        technique.check(values)


def scale_regime(regime, techniques, context, factor=1.0, why=None):
    """What the techniques make of the small batch's regime.

    ```
    learning rate = factor * (what the techniques' rules give)
    ```

    Args:
        regime: The `Regime` of the small batch.
        techniques: All hyperparameters by name of each technique that is on.
        context: The run's `Context`.
        factor: What every learning rate is multiplied by at the end.
        why: What the regime's `changes` say of the factor. Defaults to the
            factor itself.

    Returns:
        The `Regime` at `context.batch_size`.
    """
    scaling = {"rule": None}
    for hook, settings in hooks(techniques, "regime"):
        scaling |= hook(settings, context)
    scaled = regime.scaled(context.batch_size, verbose=False, **scaling)
    if factor == 1:
        return scaled
    times = scaled.with_rates_times(factor)
    why = why or f"x{factor:.4g}"
    change = f"learning rate {scaled.rate_text} -> {times.rate_text} ({why})"
    return dataclasses.replace(times, changes=(*scaled.changes, change))
