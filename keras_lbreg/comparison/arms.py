"""The arms of a comparison, made from the register of techniques."""

import difflib

from keras_lbreg.techniques import TECHNIQUES, Context
from keras_lbreg.training.arm import Arm
from keras_lbreg.training.plan import resolve_batch_size

REFERENCE = "small_batch"
BASELINE = "large_batch"
SCALING = "lr"
WARM_UP = "lr_warmup"

# Share of the run over which the arms with warm-up warm up.
WARM_UP_SHARE = 0.1

# Hoffer et al.'s columns: each holds all the techniques before it.
CUMULATIVE = ("lr_scaling", "ghost_batch_norm", "regime_adaptation")


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
    arms = [
        Arm(
            "Small batch", batch_size="small", name=REFERENCE, group="reference"
        ),
        Arm("Large batch", name=BASELINE, group="reference"),
        Arm("LR", ["lr_scaling"], group="cumulative", control=BASELINE),
        Arm(
            "LR + warm-up",
            warm,
            name=WARM_UP,
            group="control",
            control=SCALING,
        ),
        Arm(
            "LR x2",
            ["lr_scaling"],
            learning_rate_factor=2.0,
            name="lr_doubled",
            group="control",
            control=SCALING,
        ),
    ]
    for count in range(2, len(CUMULATIVE) + 1):
        arms.append(combined("cumulative", CUMULATIVE[:count]))
    arms.append(
        Arm(
            "LR + GBN, mean",
            {"lr_scaling": {}, "ghost_batch_norm": {"statistics": "mean"}},
            name="lr_gbn_mean",
            group="control",
            control=SCALING,
        )
    )
    for technique in TECHNIQUES:
        if technique.name not in CUMULATIVE:
            arms.append(combined("alone", ("lr_scaling", technique.name)))
    everything = [
        technique.name
        for technique in TECHNIQUES
        if technique.name != "regime_adaptation"
        and technique.alternative_to is None
    ]
    arms.append(
        Arm("All but RA", everything, name="all", group="all", control=SCALING)
    )
    if warm_up:
        arms += [
            Arm(
                f"LR + warm-up + {t.symbol}",
                {**warm, t.name: {}},
                name=f"{WARM_UP}_{slug(t.symbol)}",
                group="warm-up",
                control=WARM_UP,
            )
            for t in TECHNIQUES
            if t.name not in ("lr_scaling", "regime_adaptation")
        ]
    return arms


def combined(group, names):
    """The large-batch arm with these techniques, named after them."""
    symbols = [t.symbol for t in TECHNIQUES if t.name in names]
    # DReg's sum of two losses doubles the gradient.
    control = "lr_doubled" if "dreg" in names else SCALING
    return Arm(
        " + ".join(symbols),
        list(names),
        name="_".join(map(slug, symbols)),
        group=group,
        control=control,
    )


def slug(symbol):
    return symbol.lower().replace("-", "_")


def arm_names():
    """Names of all standard arms, those on warm-up too."""
    return [arm.name for arm in standard_arms(warm_up=True)]


def choose_arms(workload, facts, batch_size, wanted=None):
    """The arms to run, and why others are left out, as lines of text.

    `wanted` are names and `Arm`s, or `None` for all standard ones that fit the
    workload: those whose techniques can do something for its model.
    """
    epochs = workload.regime.epochs
    warm = workload.techniques.get("lr_scaling", {}).get("warmup_epochs")
    every = standard_arms(epochs, warm_up=True)
    if wanted is None:
        arms = standard_arms(epochs, warm_up=bool(warm))
        return without_unfit(arms, workload, facts, batch_size)
    if isinstance(wanted, (str, Arm)):
        wanted = [wanted]
    known = {arm.name: arm for arm in every}
    chosen = {}
    for arm in wanted:
        if not isinstance(arm, Arm):
            arm = known.get(arm) or unknown(arm, known)
        elif arm.name in known and arm != known[arm.name]:
            raise ValueError(
                "Invalid value for argument `arms`. Expected a name that no "
                f"standard arm has. Received: an `Arm` named {arm.name!r}"
            )
        if arm.name in chosen and chosen[arm.name] != arm:
            raise ValueError(
                "Invalid value for argument `arms`. Expected arms with names "
                f"of their own. Received: {arm.name!r} twice"
            )
        chosen[arm.name] = arm
    if not chosen:
        raise ValueError(
            "Invalid value for argument `arms`. Expected at least one arm. "
            f"Received: arms={wanted!r}"
        )
    return in_order(chosen.values()), []


def without_unfit(arms, workload, facts, batch_size):
    """The arms whose techniques can do something here, and why not others."""
    kept, reasons, left_out = [], {}, set()
    for arm in arms:
        context = Context(
            seed=0,
            base_batch_size=workload.regime.base_batch_size,
            batch_size=resolve_batch_size(workload, arm, batch_size),
        )
        why = {}
        for technique in TECHNIQUES:
            if technique.name in arm.techniques and technique.unfit:
                reason = technique.unfit(facts.model, context)
                if reason:
                    why[technique.name] = (technique.symbol, reason)
        if why and arm.group == "all":
            # What fits of it.
            techniques = {
                name: values
                for name, values in arm.techniques.items()
                if name not in why
            }
            arm = Arm(
                "All that fit",
                techniques,
                name="all",
                group="all",
                control=arm.control,
            )
            why = {} if len(techniques) > 2 else why
        if why:
            left_out.add(arm.title)
            reasons.update(why)
        else:
            kept.append(arm)
    lines = [f"Without {s}: {reason}" for s, reason in reasons.values()]
    return kept, lines


def unknown(name, known):
    close = difflib.get_close_matches(str(name), known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(
        "Invalid value for argument `arms`. Expected names out of "
        f"{', '.join(known)}, or `Arm`s. Received: {name!r}.{hint}"
    )


def in_order(arms):
    """Standard arms in their order, then the others."""
    names = arm_names()
    arms = list(arms)
    standard = [arm for arm in arms if arm.name in names]
    others = [arm for arm in arms if arm.name not in names]
    return sorted(standard, key=lambda arm: names.index(arm.name)) + others
