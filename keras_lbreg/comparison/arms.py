"""The arms of a comparison, made from the register of techniques."""

import dataclasses

from keras_lbreg.checks import did_you_mean
from keras_lbreg.techniques import RATE_RULES, TECHNIQUES, Context
from keras_lbreg.training.arm import Arm, resolve_batch_size

REFERENCE = "small_batch"
BASELINE = "large_batch"
SCALING = "lr"
DOUBLED = "lr_doubled"
WARM_UP = "lr_warmup"

# Share of the run over which the arms with warm-up warm up.
WARM_UP_SHARE = 0.1

# Hoffer et al.'s columns: each holds all the techniques before it.
SCALING_RULE = "lr_scaling"
CUMULATIVE = (SCALING_RULE, "ghost_batch_norm", "regime_adaptation")
CONTROL = {"group": "control", "control": SCALING}


def standard_arms(epochs=20, warm_up=False):
    """All arms, in the order of the table.

    The small batch; the large batch; Hoffer et al.'s cumulative columns; every
    other technique on learning-rate scaling; all but the longer training; and
    the controls: scaling with warm-up, a doubled rate (DReg's loss sums two,
    so that shared weights see about twice the gradient), and ghost batch
    normalization whose moving statistics lag as without it.

    Args:
        epochs: Epochs of the run, of which the arms with warm-up warm up for
            a tenth. Defaults to `20`.
        warm_up: Whether each technique is there on scaling with warm-up, too.
            Defaults to `False`.

    Returns:
        A list of `keras_lbreg.Arm`s. A technique added to the register has its
        arms here.

    Example:

    >>> [arm.name for arm in keras_lbreg.comparison.standard_arms()][:4]
    ['small_batch', 'large_batch', 'lr', 'lr_warmup']

    Reference: https://arxiv.org/abs/1705.08741
    """
    warm = {"lr_scaling": {"warmup_epochs": WARM_UP_SHARE * epochs}}
    mean = {"lr_scaling": {}, "ghost_batch_norm": {"statistics": "mean"}}
    beside = {*CUMULATIVE, *RATE_RULES}
    alone = [t.name for t in TECHNIQUES if t.name not in beside]
    everything = [
        t.name
        for t in TECHNIQUES
        if t.alternative_to is None
        and t.name not in {"regime_adaptation", *RATE_RULES[1:]}
    ]
    arms = [
        Arm("Small batch", (), "small", 1.0, REFERENCE, "reference"),
        Arm("Large batch", (), "large", 1.0, BASELINE, "reference"),
        Arm("LR", ["lr_scaling"], group="cumulative", control=BASELINE),
        Arm("LR + warm-up", warm, name=WARM_UP, **CONTROL),
        Arm("LR x2", ["lr_scaling"], "large", 2.0, DOUBLED, **CONTROL),
        *(
            dataclasses.replace(combined("alone", (SCALING_RULE, x)), **CONTROL)
            for x in ("adam_scaling", "average_scaling")
        ),
        *(combined("cumulative", CUMULATIVE[:n]) for n in (2, 3)),
        Arm("LR + GBN, mean", mean, **CONTROL),
        *(combined("alone", ("lr_scaling", name)) for name in alone),
        Arm("All but RA", everything, name="all", group="all", control=SCALING),
    ]
    if warm_up:
        arms += [
            Arm(
                f"LR + warm-up + {t.symbol}",
                {**warm, t.name: {}},
                name=f"{WARM_UP}_{t.symbol.lower().replace('-', '_')}",
                group="warm-up",
                control=WARM_UP,
            )
            for t in TECHNIQUES
            if t.name not in {"regime_adaptation", *RATE_RULES}
        ]
    return arms


def combined(group, names):
    """The large-batch arm with these techniques, named after them."""
    symbols = [t.symbol for t in TECHNIQUES if t.name in names]
    return Arm(
        " + ".join(symbols),
        list(names),
        group=group,
        # DReg's sum of two losses doubles the gradient.
        control=DOUBLED if "dreg" in names else SCALING,
    )


def arm_names():
    """Names of all standard arms, those on warm-up too."""
    return [arm.name for arm in standard_arms(warm_up=True)]


def choose_arms(workload, facts, batch_size, wanted=None):
    """The arms to run, and why others are left out, as lines of text.

    `wanted` are names and `Arm`s, or `None` for all standard ones that fit the
    workload: those whose techniques can do something for its model.
    """
    epochs = workload.regime.epochs
    if wanted is None:
        settings = workload.techniques.get("lr_scaling", {})
        arms = standard_arms(
            epochs, warm_up=bool(settings.get("warmup_epochs"))
        )
        return without_unfit(arms, workload, facts, batch_size)
    if isinstance(wanted, (str, Arm)):
        wanted = [wanted]
    known = {arm.name: arm for arm in standard_arms(epochs, warm_up=True)}
    chosen = {}
    for arm in wanted:
        if not isinstance(arm, Arm):
            if arm not in known:
                expected = f"names out of {', '.join(known)}, or `Arm`s"
                hint = did_you_mean(str(arm), known)
                raise invalid(expected, f"{arm!r}.{hint}")
            arm = known[arm]
        if known.get(arm.name, arm) != arm:
            received = f"an `Arm` named {arm.name!r}"
            raise invalid("a name that no standard arm has", received)
        if chosen.setdefault(arm.name, arm) != arm:
            raise invalid("arms with names of their own", f"{arm.name!r} twice")
    if not chosen:
        raise invalid("at least one arm", f"arms={wanted!r}")
    # Standard arms in their order, then the others.
    order = [name for name in known if name in chosen]
    return [chosen[name] for name in dict.fromkeys([*order, *chosen])], []


def invalid(expected, received):
    return ValueError(
        f"Invalid value for argument `arms`. Expected {expected}. Received: "
        f"{received}"
    )


def without_unfit(arms, workload, facts, batch_size):
    """The arms whose techniques can do something here, and why not others."""
    kept, reasons = [], {}
    for arm in arms:
        context = Context(
            seed=0,
            base_batch_size=workload.regime.base_batch_size,
            batch_size=resolve_batch_size(workload, arm, batch_size),
        )
        why = {
            t.name: f"Without {t.symbol}: {reason}"
            for t in TECHNIQUES
            if t.name in arm.techniques
            and t.unfit
            and (reason := t.unfit(facts.model, context))
        }
        fit = {k: v for k, v in arm.techniques.items() if k not in why}
        if why and arm.group == "all" and len(fit) > 2:
            # What fits of it.
            arm = dataclasses.replace(arm, title="All that fit", techniques=fit)
            why = {}
        # That a rule is for another optimizer is nothing to tell.
        reasons |= {k: v for k, v in why.items() if k not in RATE_RULES}
        if not why:
            kept.append(arm)
    return kept, list(reasons.values())
