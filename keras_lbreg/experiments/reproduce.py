"""The command that repeats a comparison."""

import shlex

from keras_lbreg.experiments.arms import arm_names


def compare_command(manifest):
    """Return the `lbreg compare` command line for a manifest.

    What a recipe or the environment chose is spelled out, so that the command
    means the same on another machine and with later recipes.

    Args:
        manifest: Content of `manifest.json`.

    Returns:
        A string for a POSIX shell.
    """
    settings = manifest["config"]
    words = ["lbreg", "compare", settings["dataset"]]
    arms = [arm["name"] for arm in manifest["arms"]]
    if arms != arm_names():
        words += ["--arms", ",".join(arms)]
    words += [
        "--seeds",
        len(manifest["seeds"]),
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
