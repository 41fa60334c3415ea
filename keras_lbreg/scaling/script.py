"""The lines that change a user's script."""

import collections
import inspect

import keras_lbreg
from keras_lbreg.techniques import RATE_RULES, TECHNIQUES, hooks
from keras_lbreg.training.run import copy_of

# Of a regime, in the order of its arguments.
OF_REGIME = (
    "epochs",
    "milestones",
    "decay",
    "final_fraction",
    "warmup_epochs",
    "warmup_start",
)

# What the regime or the techniques give, and what only Keras reads.
LEFT_OUT = ("name", "learning_rate", "inner_optimizer")


def script(facts, plan, placement):
    """Python between the user's lines that build `model` and those that fit.

    It makes `model` and `optimizer` for the large batch, and says how to
    compile and fit.
    """
    parts = collections.defaultdict(list)
    for technique in TECHNIQUES:
        if technique.name in plan.techniques and technique.code:
            settings = plan.techniques[technique.name]
            found = technique.code(facts.model, settings, plan.context)
            for key, line in found.items():
                parts[key].append(line)
    wraps = placement.replicas > 1 and not isinstance(
        facts.model.optimizer, keras_lbreg.ReducedGradient
    )
    fit = f"batch_size={plan.batch_size}, epochs={plan.epochs}"
    if parts["callback"]:
        fit += f", callbacks=[{parts['callback'][0]}]"
    lines = [
        "import keras",
        "import keras_lbreg as lbreg",
        "",
        *parts["model"],
        f"regime = {regime_text(plan)}",
        f"rate = regime.to_schedule(steps_per_epoch={plan.steps_per_epoch})",
        f"optimizer = {optimizer_text(facts, plan)}",
        *(["optimizer = lbreg.ReducedGradient(optimizer)"] if wraps else []),
        *parts["optimizer"],
        *parts["data"],
        f"# Compile as before, with this optimizer, and fit with {fit}.",
        *(f"# After training: {line}" for line in parts["after"]),
    ]
    return "\n".join(lines) + "\n"


def regime_text(plan):
    """The call that makes a regime, or one around the user's schedule."""
    regime = plan.regime
    if regime.has_schedule:
        rule = plan.techniques.get("lr_scaling", {}).get("rule")
        rule = "sqrt" if "adam_scaling" in plan.techniques else rule
        warm_up = f"warmup_epochs={number_text(regime.warmup_epochs)}"
        factor = plan.arm.learning_rate_factor
        times = "" if factor == 1 else f".with_rates_times({factor:.6g})"
        return (
            f"lbreg.Regime({plan.context.base_batch_size}, your_schedule, "
            f"epochs={regime.epochs}).scaled({regime.base_batch_size}, "
            f"rule={rule!r}, {warm_up}, verbose=False){times}"
        )
    given = {name: getattr(regime, name) for name in OF_REGIME}
    given["milestones"] = {
        epoch: float(f"{rate:.6g}") for epoch, rate in regime.milestones
    }
    defaults = inspect.signature(type(regime)).parameters
    given = [
        f"{name}={number_text(value)}"
        for name, value in given.items()
        if value not in (defaults[name].default, {})
    ]
    numbers = regime.base_batch_size, f"{regime.base_learning_rate:.6g}"
    return f"lbreg.Regime({', '.join(map(str, [*numbers, *given]))})"


def optimizer_text(facts, plan):
    """The call that makes the user's optimizer, scaled by the rules."""
    optimizer = copy_of(facts.model.optimizer)
    rules = {k: v for k, v in plan.techniques.items() if k in RATE_RULES}
    for hook, settings in hooks(rules, "optimizer"):
        optimizer = hook(optimizer, settings, plan.context)
    return call_text(optimizer)


def call_text(optimizer):
    """The call that makes an optimizer, with what is no default."""
    kind = type(optimizer)
    inner = getattr(optimizer, "inner_optimizer", None)
    first = "rate" if inner is None else call_text(inner)
    defaults = inspect.signature(kind).parameters
    given = [
        f"{name}={number_text(value)}"
        for name, value in optimizer.get_config().items()
        if name in defaults
        and name not in LEFT_OUT
        and value != defaults[name].default
    ]
    module = kind.__module__.partition(".")[0]
    prefix = {"keras": "keras.optimizers.", "keras_lbreg": "lbreg."}
    return (
        f"{prefix.get(module, '')}{kind.__name__}({', '.join([first, *given])})"
    )


def number_text(value):
    return f"{value:.6g}" if isinstance(value, float) else repr(value)
