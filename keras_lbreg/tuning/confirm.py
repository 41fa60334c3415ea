"""The winner of a search: in a file, and trained again beside its rivals."""

import dataclasses
import json
import shutil

from keras_lbreg.checks import check_positive_int
from keras_lbreg.comparison.arms import BASELINE, REFERENCE, SCALING
from keras_lbreg.files import read_json, write_json
from keras_lbreg.training.arm import Arm

TUNED = "tuned"
CONTROL = "lr_tuned"

# None of the search's seeds, which count from 0.
FIRST_SEED = 1000

BEST = "best.json"
ARM_FIELDS = tuple(field.name for field in dataclasses.fields(Arm))
NUMBERS = ("batch_size", "small_batch_size", "epochs")
KEYS = ("arm", "workload", *NUMBERS, "folder", "trial")


def tuned_arm(arm, control=SCALING):
    """The winner as an arm of a comparison, at the large batch size."""
    return dataclasses.replace(
        arm,
        title="Tuned",
        name=TUNED,
        group=TUNED,
        batch_size="large",
        control=control,
    )


def tuned_control(arm):
    """The best trial without techniques as an arm of a comparison."""
    return dataclasses.replace(
        arm,
        title="LR, tuned",
        name=CONTROL,
        group="control",
        batch_size="large",
        control=BASELINE,
    )


def is_control(arm):
    """Whether an arm has no technique but learning-rate scaling."""
    return set(arm.techniques) <= {"lr_scaling"}


def write_best(path, arm, workload, folder, trial):
    """Writes what `lbreg train --config` and `lbreg compare --config` read."""
    write_json(
        path,
        {
            "arm": vars(tuned_arm(arm)),
            "workload": workload.source or workload.name,
            "batch_size": arm.batch_size,
            "small_batch_size": workload.regime.base_batch_size,
            "epochs": workload.regime.epochs,
            "folder": str(folder),
            "trial": trial,
        },
    )


def read_best(path):
    """The winner of a search, from the file that `keras_lbreg.tune` wrote.

    Args:
        path: The file, `best.json`. It may have been edited.

    Returns:
        The pair `(arm, content)` of the `keras_lbreg.Arm` and a dictionary
        with `"workload"` (what `keras_lbreg.get_workload` takes),
        `"batch_size"`, `"small_batch_size"`, `"epochs"` and `"folder"`.

    Raises:
        ValueError: The file holds something else; the message says what.
        OSError: There is no such file.

    Example:

    >>> arm, found = keras_lbreg.tuning.read_best("runs/tune-digits/best.json")
    >>> keras_lbreg.compare(found["workload"], arms=["lr", arm])
    """
    content = read_json(path)

    def wrong(expected, received):
        return ValueError(
            f"Cannot read {path}: expected {expected}. Received: {received}. "
            "`lbreg tune` writes such files (best.json)."
        )

    missing = sorted({*KEYS} - {"trial"} - {*content})
    unknown = sorted({*content} - {*KEYS})
    if missing or unknown:
        raise wrong(
            f"the keys {', '.join(KEYS)}",
            f"none named {', '.join(missing)}"
            if missing
            else f"others, {', '.join(unknown)}",
        )
    fields = content["arm"]
    if not isinstance(fields, dict):
        raise wrong("an object as `arm`", repr(fields))
    if unknown := sorted({*fields} - {*ARM_FIELDS}):
        raise wrong(
            f"no other keys of `arm` than {', '.join(ARM_FIELDS)}",
            ", ".join(unknown),
        )
    if not isinstance(fields.get("techniques", {}), dict):
        raise wrong("an object as `arm.techniques`", fields["techniques"])
    if not isinstance(content["workload"], str):
        raise wrong("a text as `workload`", repr(content["workload"]))
    try:
        for name in NUMBERS:
            check_positive_int(name, content[name])
        arm = Arm(**{"title": "Tuned", **fields})
    except (ValueError, TypeError) as error:
        raise ValueError(f"Cannot read {path}. {error}") from error
    if content["batch_size"] <= content["small_batch_size"]:
        raise wrong(
            "a `batch_size` above `small_batch_size`",
            f"{content['batch_size']} and {content['small_batch_size']}",
        )
    return arm, content


def confirm(workload, winner, control, folder, seeds, **arguments):
    """Compares the winner of a search on seeds that no trial had.

    The best of many trials owes part of its score to luck: to its seeds, and
    to the samples that trials were judged by. So it is trained again on all
    training data and judged by the validation data, beside the small batch,
    the large batch as it is, and the best learning-rate control of the
    search: what tuning the rate alone would have found.

    Args:
        workload: The whole `Workload`.
        winner: Its `Arm`, with a number as batch size.
        control: The `Arm` of the best control, or `None`.
        folder: Folder of the comparison.
        seeds: Number of seeds.
        arguments: More arguments of `keras_lbreg.compare`.

    Returns:
        The `keras_lbreg.comparison.Results`.

    Reference:

    - Cawley & Talbot, 2010, "On over-fitting in model selection and subsequent
      selection bias in performance evaluation"
    """
    from keras_lbreg.comparison.compare import compare

    arms = [REFERENCE, BASELINE]
    if control is None or is_control(winner):
        arms += [SCALING, tuned_arm(winner)]
    else:
        arms += [tuned_control(control), tuned_arm(winner, CONTROL)]
    forget_others(folder, arms, winner.batch_size)
    return compare(
        workload,
        batch_size=winner.batch_size,
        arms=arms,
        seeds=seeds,
        first_seed=FIRST_SEED,
        out=folder,
        **arguments,
    )


def forget_others(folder, arms, batch_size):
    """Deletes the runs of an earlier winner, and of an earlier control."""
    chosen = {
        arm.name: {
            "techniques": arm.techniques,
            "factor": arm.learning_rate_factor,
        }
        for arm in arms
        if isinstance(arm, Arm)
    }
    chosen = json.loads(json.dumps({"batch_size": batch_size, **chosen}))
    there = folder / "winner.json"
    before = read_json(there) if there.is_file() else None
    if before not in (None, chosen):
        if before["batch_size"] != batch_size:
            shutil.rmtree(folder)
        else:
            manifest = read_json(folder / "manifest.json")
            manifest["arms"] = [
                arm
                for arm in manifest["arms"]
                if arm["name"] in (REFERENCE, BASELINE, SCALING)
            ]
            for name in (TUNED, CONTROL):
                shutil.rmtree(folder / "runs" / name, ignore_errors=True)
            write_json(folder / "manifest.json", manifest)
    write_json(there, chosen)
