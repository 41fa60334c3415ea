"""Comparisons on fresh seeds, as `confirm` would record them."""

import dataclasses
import json

from keras_lbreg.experiments.configuration_file import write_configuration
from keras_lbreg.experiments.json_file import write_json
from keras_lbreg.experiments.results import configuration_path, run_dir
from keras_lbreg.search.confirmation.confirm_experiment import (
    FIRST_SEED,
    confirm_path,
)
from keras_lbreg.search.pages.best_configuration import best_configuration
from tests.experiments.fake_results import (
    LARGE,
    SCALED,
    SMALL,
    FakeArm,
    write_results,
)

TUNED = FakeArm(
    "tuned",
    "Tuned",
    300,
    0.5,
    20,
    (0.955, 0.96, 0.965),
    ("lr_scaling",),
    group="tuned",
)
ARMS = (SMALL, LARGE, SCALED, TUNED)


def tuned(**changes):
    """The arms with another winner."""
    return (SMALL, LARGE, SCALED, dataclasses.replace(TUNED, **changes))


def write_confirmation(results, arms=ARMS, seeds=3):
    """Write the comparison of a search's winner into the search's folder."""
    folder = confirm_path(results)
    write_results(folder, arms, seeds)
    manifest = json.loads((folder / "manifest.json").read_text())
    fresh = [FIRST_SEED + seed for seed in manifest["seeds"]]
    write_json(folder / "manifest.json", {**manifest, "seeds": fresh})
    for arm in arms:
        for seed in range(seeds):
            there = run_dir(folder, arm.name, seed)
            there.rename(run_dir(folder, arm.name, FIRST_SEED + seed))
    write_configuration(
        configuration_path(folder, "tuned"), best_configuration(results)
    )
    return folder
