"""Go on with a run of another results folder."""

import os
import pathlib
import shutil

from keras_lbreg.experiments.checkpoint import Checkpoint
from keras_lbreg.experiments.differences import differences_between
from keras_lbreg.experiments.manifest import read_manifest
from keras_lbreg.experiments.results import run_dir


def adopt_run(source, folder, manifest, plan, seed):
    """Copy a run that stopped early, so that it goes on in another folder.

    The copy appears whole or not at all. The run in `source` stays as it is.

    Args:
        source: The results folder with the run that stopped early.
        folder: The results folder in which it is to go on.
        manifest: The manifest of `folder`.
        plan: The `Plan` of the run that goes on.
        seed: Its seed.

    Raises:
        ValueError: The configurations differ in more than `until`, there is
            no run with a checkpoint in `source`, or it has gone further than
            the run here is to go.

    Example:

    >>> adopt_run("runs/half", "runs/whole", manifest, plan, seed=0)

    Reference: `Experiment.until` makes runs stop early.
    """
    differences = differences_between(
        without_until(read_manifest(source)), without_until(manifest)
    )
    there = run_dir(source, plan.arm.name, seed)
    saved = Checkpoint(there / "checkpoint.npz").load()
    if differences or saved is None or saved[0] > plan.last_epoch:
        if not differences:
            epoch = "no checkpoint" if saved is None else f"epoch {saved[0]}"
            differences = f"{there} has {epoch}"
        raise ValueError(
            "Invalid value for argument `continue_from`. Expected a results "
            "folder with the same configuration, but for `until`, and with a "
            f"checkpoint of {plan.arm.name}, seed {seed}, of at most epoch "
            f"{plan.last_epoch}. Received: continue_from={str(source)!r} "
            f"({differences})"
        )
    here = pathlib.Path(run_dir(folder, plan.arm.name, seed))
    partial = here.with_name(f".{here.name}.{os.getpid()}")
    partial.mkdir(parents=True, exist_ok=True)
    for name in ("epochs.jsonl", "checkpoint.npz"):
        shutil.copyfile(there / name, partial / name)
    os.rename(partial, here)


def without_until(manifest):
    """The manifest as if its runs did not stop early."""
    arms = [
        {key: value for key, value in arm.items() if key != "until"}
        for arm in manifest["arms"]
    ]
    config = {**manifest["config"], "until": None}
    return {**manifest, "arms": arms, "config": config}
