"""The folder of a comparison, opened for writing."""

import contextlib
import datetime
import pathlib
import shutil

from keras_lbreg.data.dataset_checksum import dataset_checksum
from keras_lbreg.experiments.arms import in_report_order
from keras_lbreg.experiments.choose_strategy import choose_strategy
from keras_lbreg.experiments.configuration_file import (
    ConfigurationFile,
    write_configuration,
)
from keras_lbreg.experiments.differences import differences_between
from keras_lbreg.experiments.environment import environment
from keras_lbreg.experiments.events import StrategyChosen
from keras_lbreg.experiments.json_file import write_json
from keras_lbreg.experiments.load_data import load_data
from keras_lbreg.experiments.lock import ANOTHER_FOLDER, lock
from keras_lbreg.experiments.manifest import SCHEMA, read_manifest
from keras_lbreg.experiments.plan import make_plan
from keras_lbreg.experiments.programs import Programs
from keras_lbreg.experiments.results import (
    configuration_path,
    run_dir,
    tensorboard_dir,
)


class Workspace(contextlib.AbstractContextManager):
    """Dataset, plans and manifest of an experiment, and the lock on them.

    Of several workers, only the chief touches the folder; the others take the
    manifest from it.

    Args:
        experiment: The `Experiment`.
        fresh: Whether to delete earlier results first.
        arms: Names of the arms to plan.
        seeds: The seeds to record in the manifest.

    Raises:
        ValueError: The folder holds results of another configuration or
            runs of unknown origin, or another process is writing to it; the
            strategy cannot be had; or this worker is about to run something
            else than the chief.

    Example:

    >>> with Workspace(experiment, False, ["lr"], [0]) as workspace:
    ...     workspace.plans

    Reference: `keras_lbreg.experiments.read_results` describes the folder.
    """

    def __init__(self, experiment, fresh, arms, seeds):
        self.experiment = experiment
        self.path = pathlib.Path(experiment.out_dir)
        # First: TensorFlow sets up a cluster only where it has done nothing.
        self.placement = choose_strategy(
            experiment.strategy, experiment.devices
        )
        self.dataset = load_data(experiment)
        self.plans = [
            make_plan(experiment, arm, self.dataset, self.placement)
            for arm in arms
        ]
        self.programs = Programs()
        self._held = contextlib.ExitStack()
        new = self._new_manifest(list(seeds))
        self.manifest = self.placement.on_chief(lambda: self._open(new, fresh))
        if not self.placement.is_chief:
            check_like_chief(self.manifest, new, self.placement.worker)

    def __exit__(self, *exception):
        self._held.close()

    def announce_strategy(self, on_event):
        """Say what shares the batches, unless it goes without saying."""
        if self.experiment.strategy == "one":
            return
        layouts = {plan.arm.name: plan.batch_layout() for plan in self.plans}
        on_event(StrategyChosen(self.placement, layouts))

    def _open(self, new, fresh):
        """Lock the folder and write the manifest, which is returned."""
        self.path.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            stack.enter_context(lock(self.path))
            check_known_origin(self.path)
            if fresh:
                delete_results(self.path)
            manifest = merged_manifest(self.path, new)
            write_json(self.path / "manifest.json", manifest)
            for name, configuration in self._configurations():
                write_configuration(
                    configuration_path(self.path, name), configuration
                )
            # Nothing went wrong: the lock is held until `__exit__`.
            self._held = stack.pop_all()
        return manifest

    def _configurations(self):
        """The extra arms as files for `lbreg train --config`."""
        for plan in self.plans:
            arm = plan.arm
            if arm in self.experiment.extra_arms and arm.batch == "large":
                yield (
                    arm.name,
                    ConfigurationFile(
                        self.experiment.dataset,
                        plan.batch_size,
                        plan.base_batch_size,
                        self.experiment.epochs or plan.recipe.epochs,
                        plan.techniques,
                        arm.learning_rate_factor,
                        {"folder": str(self.path), "arm": arm.name},
                    ),
                )

    def _new_manifest(self, seeds):
        return {
            "schema": SCHEMA,
            "name": self.experiment.name,
            "created": datetime.datetime.now(datetime.UTC).isoformat(
                timespec="seconds"
            ),
            **environment(),
            "dataset": describe_dataset(self.dataset),
            "config": self._config(),
            "arms": [plan.describe() for plan in self.plans],
            "seeds": seeds,
        }

    def _config(self):
        plan = self.plans[0]
        return {
            "dataset": self.experiment.dataset,
            "small_batch_size": plan.base_batch_size,
            "batch_size": self.experiment.batch_size or plan.recipe.batch_size,
            "epochs": self.experiment.epochs or plan.recipe.epochs,
            **plan.recipe.describe(),
            "hyperparameters": self.experiment.hyperparameters,
            "strategy": self.placement.strategy,
            "devices": self.placement.devices,
            "holdout": self.experiment.holdout,
            "until": self.experiment.until,
        }


def merged_manifest(path, new):
    """The manifest there is, with new arms and seeds, or a new one."""
    if not (path / "manifest.json").is_file():
        return new
    old = read_manifest(path)
    if differences := differences_between(old, new):
        raise ValueError(
            f"The folder {path} holds results of another configuration "
            f"({differences}). Expected the same, with more arms or seeds at "
            f"most. {ANOTHER_FOLDER}, or start again with `--fresh`, which "
            "deletes the results there."
        )
    known = {arm["name"]: arm for arm in old["arms"] + new["arms"]}
    return {
        **old,
        "arms": [known[name] for name in in_report_order(known)],
        "seeds": sorted({*old["seeds"], *new["seeds"]}),
    }


def check_like_chief(manifest, own, worker):
    """Raise unless this worker is about to run what the chief runs."""
    if differences := differences_between(manifest, own):
        raise ValueError(
            f"Worker {worker} was not started like the chief, worker 0 "
            f"({differences}). Expected the same command, data and versions "
            "everywhere."
        )


def check_known_origin(path):
    """Raise if there are runs, but no manifest that says what they are."""
    if (path / "manifest.json").is_file():
        return
    there = [x for x in ("runs", "tensorboard") if (path / x).exists()]
    if there:
        raise ValueError(
            f"The folder {path} holds {' and '.join(there)}, but no "
            "manifest.json that says which comparison wrote it. Expected an "
            "empty folder, or one of this command. Nothing was changed. "
            f"{ANOTHER_FOLDER}, or move {' and '.join(there)} away."
        )


def delete_results(path):
    """Delete the runs that the manifest lists, and nothing else."""
    if not (path / "manifest.json").is_file():
        return
    manifest = read_manifest(path)
    for arm in manifest["arms"]:
        for seed in manifest["seeds"]:
            for place in (run_dir, tensorboard_dir):
                folder = place(path, arm["name"], seed)
                if folder.is_dir():
                    shutil.rmtree(folder)
        configuration_path(path, arm["name"]).unlink(missing_ok=True)
    # Last, so that a deletion that was cut short can be repeated.
    (path / "manifest.json").unlink()


def describe_dataset(dataset):
    return {
        "name": dataset.name,
        "title": dataset.title,
        "notes": dataset.notes,
        "classes": dataset.classes,
        "input_shape": list(dataset.input_shape),
        "train_samples": len(dataset.x_train),
        "val_samples": len(dataset.x_val),
        "checksum": dataset_checksum(dataset),
    }
