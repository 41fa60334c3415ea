"""What is screened, and what is confirmed."""

import dataclasses
import pathlib

from recipes.hoffer_2017.configuration import DIGITS, F1
from recipes.paper import Comparison, read_record
from recipes.together.screening import (
    IN_16_RUNS,
    IN_32_RUNS,
    Combination,
    chosen,
    combination_of,
)

RESULTS = pathlib.Path(__file__).parent / "results"

# Seeds that no screen has used.
FRESH_SEED = 1000

# As the techniques are tried. DReg takes the mean of its two losses: their sum
# would double the gradient, and its effect would be that of the learning rate.
TRIED = {
    "gradient_noise": {"alpha": 1e-5, "gamma": 0.55},
    "dreg": {"weight": 0.1, "path_reduction": "mean"},
    "gradient_mix": {"groups": 8, "concentration": 1.0},
}


def pair(name, title, dataset, recipe, runs, warmup_epochs, holdout, seeds):
    """The screen and the confirmation of one problem, with their seeds.

    `runs` are those of the design, `warmup_epochs` the length of the warm-up
    where it is on, `holdout` the share that the screen is judged by.
    """
    dreg = {**TRIED["dreg"], **recipe.techniques["dreg"]}
    recipe = dataclasses.replace(
        recipe, techniques={**recipe.techniques, **TRIED, "dreg": dreg}
    )
    screened = [combination_of(run).arm(warmup_epochs) for run in runs]
    free = (Combination("linear"), Combination("sqrt", ("warmup",)))

    def confirmed():
        """The references, and what the screen has chosen once it has run."""
        picked = []
        for path in (f"{name}_screen.jsonl", f"{name}_screen-moving.jsonl"):
            if not picked and (RESULTS / path).is_file():
                picked = chosen(read_record(RESULTS / path))
        arms = (one.arm(warmup_epochs) for one in (*free, *picked))
        return ("small_batch", "large_batch", "lr", "lr_doubled", *arms)

    return (
        Comparison(
            f"{name}_screen",
            f"{title}: {len(runs)} combinations on held-out training data",
            dataset,
            recipe,
            ("lr", *screened),
            "screen",
            seeds=seeds[0],
            holdout=holdout,
        ),
        Comparison(
            f"{name}_confirm",
            f"{title}: the best on fresh seeds and the validation data",
            dataset,
            recipe,
            confirmed,
            "confirmation",
            seeds=seeds[1],
            first_seed=FRESH_SEED,
        ),
    )


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
# A fifth of the authors' epochs, the drops at the same fractions.
F1_PAIR = pair(
    "f1",
    "F1, MNIST, 10 of 50 epochs (shortened)",
    "mnist",
    dataclasses.replace(F1, epochs=10),
    IN_16_RUNS,
    warmup_epochs=1,
    holdout=0.1,
    seeds=(1, 5),
)
