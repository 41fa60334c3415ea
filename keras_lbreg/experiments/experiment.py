"""What to run: a dataset, arms, seeds and sizes."""

import dataclasses
import numbers
import pathlib

from keras_lbreg.checks import check_positive_int
from keras_lbreg.experiments.arm import Arm
from keras_lbreg.experiments.arms import arm_names, get_arm, in_report_order
from keras_lbreg.experiments.placement import check_strategy
from keras_lbreg.experiments.recipe import Recipe
from keras_lbreg.techniques.check_hyperparameters import (
    check_hyperparameters,
)


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A comparison of arms on one dataset.

    What is left at `None` comes from the dataset's recipe.

    Args:
        dataset: `"digits"`, `"mnist"`, `"cifar10"`, `"caltech101"`,
            `"caltech101_3to1"`, the name of another image classification
            dataset of TensorFlow Datasets, or the path of an `.npz` file with
            `x_train`, `y_train`, `x_val` and `y_val`.
        arms: Names of the arms, see `arm_names()`, and of `extra_arms`.
            Defaults to all of them.
        seeds: Number of seeds; the runs use seeds
            `first_seed ... first_seed + seeds - 1`.
        small_batch_size: Batch size of the reference arm.
        batch_size: The large batch size of all other arms.
        epochs: Epochs of the small batch, and of every arm without regime
            adaptation.
        hyperparameters: Hyperparameters of techniques by technique name, such
            as `{"ghost_batch_norm": {"ghost_batch_size": 64}}`.
        data_dir: Folder of the prepared datasets.
        out_dir: Folder of the results. Defaults to `runs/<dataset>`.
        tensorboard: Whether to write TensorBoard logs (TensorFlow backend).
        strategy: `"one"` (device), `"mirrored"`, `"multi-worker"`,
            `"jax-data-parallel"` or `"auto"`, see `choose_strategy`. Every
            batch size is that of the global batch, which the devices share.
        devices: Number of devices, the first ones. Defaults to all of them.
        extra_arms: `Arm`s beside the standard ones, under names of their own.
        first_seed: The first seed.
        holdout: Share of the training data, in `[0, 1)`, that is set apart
            and validated on in place of the validation data, see `hold_out`:
            whoever chooses by the results must not see the data by which the
            choice is judged.
        until: Share of the epochs, in `(0, 1]`, after which every run stops.
            The learning rate stays that of the whole run, and the run can be
            continued in another folder (`run(..., continue_from=...)`).
            Defaults to the whole.
        recipe: A `Recipe` with a name, to train by in place of the dataset's
            own.

    Raises:
        ValueError: An argument has no meaning; the message says which and
            what was expected.

    Example:

    >>> experiment = Experiment("digits", seeds=1, epochs=5)
    >>> results = compare(experiment)

    Reference: the arms are the columns of Hoffer et al. 2017,
    https://arxiv.org/abs/1705.08741, and one for each other technique.
    """

    dataset: str = "digits"
    arms: tuple | None = None
    seeds: int = 3
    small_batch_size: int | None = None
    batch_size: int | None = None
    epochs: int | None = None
    hyperparameters: dict = dataclasses.field(default_factory=dict)
    data_dir: str | None = None
    out_dir: str | None = None
    tensorboard: bool = True
    strategy: str = "one"
    devices: int | None = None
    extra_arms: tuple = ()
    first_seed: int = 0
    holdout: float = 0.0
    until: float | None = None
    recipe: Recipe | None = None

    def __post_init__(self):
        if not isinstance(self.dataset, str) or not self.dataset:
            raise ValueError(
                "Invalid value for argument `dataset`. Expected the name of a "
                "dataset or the path of an .npz file. Received: "
                f"dataset={self.dataset!r}"
            )
        check_positive_int("seeds", self.seeds)
        for name in ("small_batch_size", "batch_size", "epochs"):
            if getattr(self, name) is not None:
                check_positive_int(name, getattr(self, name))
        check_seed(self.first_seed)
        check_extra_arms(self.extra_arms)
        known = [*arm_names(), *(arm.name for arm in self.extra_arms)]
        arms = known if self.arms is None else list(self.arms)
        if isinstance(self.arms, str) or not arms:
            raise ValueError(
                "Invalid value for argument `arms`. Expected a sequence of "
                f"names out of {known}. Received: arms={self.arms!r}"
            )
        for name in arms:
            self.get_arm(name)
        object.__setattr__(self, "arms", tuple(in_report_order(arms)))
        check_hyperparameters(self.hyperparameters)
        check_strategy(self.strategy, self.devices)
        check_shares(self.holdout, self.until)
        check_recipe(self.recipe)
        if self.until == 1:
            object.__setattr__(self, "until", None)
        if self.out_dir is None:
            folder = pathlib.Path("runs") / self.name
            object.__setattr__(self, "out_dir", str(folder))

    @property
    def name(self):
        """Short name: the dataset, or the stem of its file."""
        if self.dataset.endswith(".npz"):
            return pathlib.Path(self.dataset).stem
        return self.dataset.replace("/", "_").replace(":", "_")

    @property
    def seed_range(self):
        """The seeds of the runs."""
        return range(self.first_seed, self.first_seed + self.seeds)

    def get_arm(self, name):
        """The standard or extra `Arm` of this name."""
        return get_arm(name, self.extra_arms)


def check_seed(seed):
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise ValueError(
            "Invalid value for argument `first_seed`. Expected an integer of "
            f"at least 0. Received: first_seed={seed!r}"
        )


def check_shares(holdout, until):
    if not (is_number(holdout) and 0 <= holdout < 1):
        raise ValueError(
            "Invalid value for argument `holdout`. Expected a share of the "
            "training data, at least 0 and below 1. Received: "
            f"holdout={holdout!r}"
        )
    if until is not None and not (is_number(until) and 0 < until <= 1):
        raise ValueError(
            "Invalid value for argument `until`. Expected a share of the "
            "epochs, above 0 and at most 1, or None. Received: "
            f"until={until!r}"
        )


def check_recipe(recipe):
    if recipe is not None and not (isinstance(recipe, Recipe) and recipe.name):
        raise ValueError(
            "Invalid value for argument `recipe`. Expected a `Recipe` with a "
            "`name`, under which its results are known, or None. Received: "
            f"recipe={recipe!r}"
        )


def is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def check_extra_arms(arms):
    names = [arm.name for arm in arms if isinstance(arm, Arm)]
    if len(names) < len(arms):
        raise ValueError(
            "Invalid value for argument `extra_arms`. Expected a sequence of "
            f"`Arm`s. Received: extra_arms={arms!r}"
        )
    taken = sorted({name for name in names if names.count(name) > 1})
    taken += [name for name in arm_names() if name in names]
    if taken:
        raise ValueError(
            "Invalid value for argument `extra_arms`. Expected names that no "
            f"other arm has. Received: {taken}"
        )
