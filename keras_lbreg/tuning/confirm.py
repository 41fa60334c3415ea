"""The winner of a search: in a file, and trained again beside its rivals."""

import dataclasses

from keras_lbreg.checks import check_positive_int
from keras_lbreg.comparison.arms import BASELINE, REFERENCE, SCALING
from keras_lbreg.files import read_json, write_json
from keras_lbreg.techniques import RATE_RULES
from keras_lbreg.training.arm import Arm

# None of the search's seeds, which count from 0.
FIRST_SEED = 1000

NUMBERS = ("batch_size", "small_batch_size", "epochs")


def trial_arm(space, trial, title, name, **changes):
    """A trial as an arm of a comparison, at the large batch size."""
    arm = space.arm(trial.values)
    arm = dataclasses.replace(arm, title=title, name=name, batch_size="large")
    return dataclasses.replace(arm, **changes)


def write_best(path, space, trial, workload):
    """Writes what `lbreg train --config` and `lbreg compare --config` read."""
    arm = trial_arm(space, trial, "Tuned", "tuned", control=SCALING)
    content = {
        "arm": vars(arm),
        "workload": workload.source or workload.name,
        "batch_size": trial.values["batch_size"],
        "small_batch_size": workload.regime.base_batch_size,
        "epochs": workload.regime.epochs,
        "trial": trial.trial_id,
    }
    write_json(path, content)


def read_best(path):
    """The winner of a search, from the file that `keras_lbreg.tune` wrote.

    Args:
        path: The file, `best.json`. It may have been edited.

    Returns:
        The pair `(arm, content)` of the `keras_lbreg.Arm` and a dictionary
        with `"workload"` (what `keras_lbreg.get_workload` takes),
        `"batch_size"`, `"small_batch_size"` and `"epochs"`.

    Raises:
        ValueError: The file holds something else; the message says what.
        OSError: There is no such file.

    Example:

    >>> arm, found = keras_lbreg.tuning.read_best("runs/tune-digits/best.json")
    >>> keras_lbreg.compare(found["workload"], arms=["lr", arm])
    """
    content = read_json(path)
    try:
        for name in NUMBERS:
            check_positive_int(name, content[name])
        return Arm(**content["arm"]), content
    except KeyError as error:
        reason = f"It has no {error}."
    except (ValueError, TypeError) as error:
        reason = f"{error}"
    raise ValueError(
        f"Cannot read {path}, which is not as `lbreg tune` writes it. {reason}"
    )


def confirm(workload, space, result, seeds, **arguments):
    """Compares the winner of a `TuneResult` on seeds that no trial had.

    The best of many trials owes part of its score to luck: to its seeds, and
    to the samples that trials were judged by (Cawley & Talbot 2010, "On
    over-fitting in model selection"). So it is trained again on all training
    data and judged by the validation data, beside the small batch, the large
    batch as it is, and the best learning-rate control of the search: what
    tuning the rate alone would have found. A former winner whose runs the
    folder holds stays in the table.
    """
    from keras_lbreg.comparison.compare import compare

    winner, rival, control = result.best, SCALING, SCALING
    size = winner.values["batch_size"]
    controls = (
        trial
        for trial in result.ranking
        if trial.values["batch_size"] == size
        and space.arm(trial.values).techniques.keys() <= {*RATE_RULES}
    )
    best = next(controls, winner)
    if best is not winner:
        title, control = f"LR, trial {best.trial_id}", f"trial_{best.trial_id}"
        own = {"group": "control", "control": BASELINE}
        rival = trial_arm(space, best, title, control, **own)
    title, name = f"Trial {winner.trial_id}", f"trial_{winner.trial_id}"
    tuned = trial_arm(space, winner, title, name, control=control)
    compare(
        workload,
        batch_size=size,
        arms=[REFERENCE, BASELINE, rival, tuned],
        seeds=seeds,
        first_seed=FIRST_SEED,
        out=result.confirmation_path,
        **arguments,
    )
