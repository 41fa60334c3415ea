"""The command that repeats a comparison."""

import shlex

from keras_lbreg.experiments.arms import arm_names
from keras_lbreg.experiments.configuration_file import TUNED
from keras_lbreg.experiments.results import configuration_path


def compare_command(manifest, path):
    """Return the `lbreg compare` command line for a manifest.

    What a recipe or the environment chose is spelled out, so that the command
    means the same on another machine and with later recipes.

    Args:
        manifest: Content of `manifest.json`.
        path: The results folder, which holds the configuration of a tuned
            arm.

    Returns:
        A string for a POSIX shell, or `None`: what was started by Python or
        by another command may hold what `lbreg compare` has no words for.
    """
    settings = manifest["config"]
    words = ["lbreg", "compare", settings["dataset"]]
    arms = [arm["name"] for arm in manifest["arms"]]
    extra = [name for name in arms if name not in arm_names()]
    if has_no_words(settings, extra):
        return None
    if arms != arm_names() + extra:
        words += ["--arms", ",".join(arms)]
    words += ["--seeds", len(manifest["seeds"])]
    if min(manifest["seeds"]):
        words += ["--first-seed", min(manifest["seeds"])]
    if extra:
        words += ["--config", configuration_path(path, TUNED)]
    else:
        words += [
            "--small-batch-size",
            settings["small_batch_size"],
            "--batch-size",
            settings["batch_size"],
            "--epochs",
            settings["epochs"],
        ]
    for technique, values in settings["hyperparameters"].items():
        for name, value in values.items():
            words += ["--set", f"{technique}.{name}={value}"]
    words += ["--backend", manifest["backend"]]
    if settings["strategy"] != "one":
        words += ["--strategy", settings["strategy"]]
    if settings["strategy"] in ("mirrored", "jax-data-parallel"):
        words += ["--devices", settings["devices"]]
    # Not in the manifests of earlier versions.
    virtual = manifest.get("virtual_devices", 1)
    if settings["strategy"] != "one" and virtual > 1:
        words += ["--virtual-devices", virtual]
    return shlex.join(str(word) for word in words)


def has_no_words(settings, extra_arms):
    if settings["holdout"] or settings["until"] is not None:
        return True
    if settings["recipe"] is not None:
        return True
    # `--config` stands for the settings of all arms.
    return extra_arms not in ([], [TUNED]) or bool(
        extra_arms and settings["hyperparameters"]
    )
