"""What is screened, and what is confirmed."""

import dataclasses
import pathlib

from recipes.hoffer_2017.configuration import DIGITS as HOFFER_DIGITS
from recipes.hoffer_2017.configuration import F1 as HOFFER_F1
from recipes.study.comparison import Comparison
from recipes.together.combination import Combination, combination_of
from recipes.together.confirmation import FRESH_SEED, Confirmation
from recipes.together.design import fractional_factorial

RESULTS = pathlib.Path(__file__).parent / "results"

# Resolution IV: no effect of one factor is mixed up with that of another, or
# of a pair. In 32 runs the pairs that are mixed up with one another are of the
# last four alone; in 16, others as well.
IN_32_RUNS = fractional_factorial("ABCDE", {"F": "ABCD", "G": "ABDE"})
IN_16_RUNS = fractional_factorial("ABCD", {"E": "ABC", "F": "BCD", "G": "ACD"})


def recipe(base, name, **changes):
    """A recipe of Hoffer et al.'s, with the techniques as they are tried.

    DReg takes the mean of its two losses: their sum would double the
    gradient, and its effect would be that of the learning rate.
    """
    return dataclasses.replace(
        base,
        name=f"together/{name}",
        hyperparameters={
            **base.hyperparameters,
            "gradient_noise": {"alpha": 1e-5, "gamma": 0.55},
            "dreg": {"weight": 0.1, "path_reduction": "mean"},
            "gradient_mix": {"groups": 8, "concentration": 1.0},
        },
        **changes,
    )


DIGITS = recipe(HOFFER_DIGITS, "digits")
# A fifth of the authors' epochs, the drops at the same fractions.
F1 = recipe(HOFFER_F1, "f1", epochs=10)


def pair(name, title, dataset, recipe, runs, warmup_epochs, holdout, seeds):
    """The screen and the confirmation of one problem.

    Args:
        name: Name of the problem.
        title: Its title.
        dataset: The dataset.
        recipe: The `Recipe`.
        runs: The runs of the design.
        warmup_epochs: Epochs of warm-up where it is on.
        holdout: Share of the training data that the screen is judged by.
        seeds: Seeds of the screen and of the confirmation.
    """
    arms = tuple(combination_of(run).arm(warmup_epochs) for run in runs)
    screen = Comparison(
        f"{name}_screen",
        f"{title}: {len(runs)} combinations on held-out training data",
        dataset,
        recipe,
        ("lr", *(arm.name for arm in arms)),
        arms,
        part="screen",
        seeds=seeds[0],
        holdout=holdout,
    )
    free = tuple(
        combination.arm(warmup_epochs)
        for combination in (
            Combination("linear"),
            Combination("sqrt", ("warmup",)),
        )
    )
    confirmation = Confirmation(
        f"{name}_confirm",
        f"{title}: the best on fresh seeds and the validation data",
        dataset,
        recipe,
        (
            "small_batch",
            "large_batch",
            "lr",
            "lr_doubled",
            *(arm.name for arm in free),
        ),
        free,
        part="confirmation",
        seeds=seeds[1],
        first_seed=FRESH_SEED,
        screen=RESULTS / screen.name,
        warmup_epochs=warmup_epochs,
    )
    return screen, confirmation


DIGITS_PAIR = pair(
    "digits",
    "two layers of 128, digits (small)",
    "digits",
    DIGITS,
    IN_32_RUNS,
    warmup_epochs=2,
    holdout=0.2,
    seeds=(3, 5),
)
F1_PAIR = pair(
    "f1",
    "F1, MNIST, 10 of 50 epochs (shortened)",
    "mnist",
    F1,
    IN_16_RUNS,
    warmup_epochs=1,
    holdout=0.1,
    seeds=(1, 5),
)
