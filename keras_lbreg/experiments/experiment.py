"""What to run: a dataset, arms, seeds and sizes."""

import dataclasses
import numbers
import pathlib

from keras_lbreg.experiments.arms import arm_names, get_arm
from keras_lbreg.experiments.placement import check_strategy
from keras_lbreg.techniques import get as get_technique


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A comparison of arms on one dataset.

    What is left at `None` comes from the dataset's recipe.

    Args:
        dataset: `"digits"`, `"mnist"`, `"cifar10"`, `"caltech101"`, the name
            of another image classification dataset of TensorFlow Datasets, or
            the path of an `.npz` file with `x_train`, `y_train`, `x_val` and
            `y_val`.
        arms: Names of the arms, see `arm_names()`. Defaults to all of them.
        seeds: Number of seeds; the runs use seeds `0 ... seeds - 1`.
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
        arms = arm_names() if self.arms is None else list(self.arms)
        if isinstance(self.arms, str) or not arms:
            raise ValueError(
                "Invalid value for argument `arms`. Expected a sequence of "
                f"names out of {arm_names()}. Received: arms={self.arms!r}"
            )
        for name in arms:
            get_arm(name)
        # The report's order, and every arm once.
        ordered = tuple(name for name in arm_names() if name in arms)
        object.__setattr__(self, "arms", ordered)
        check_hyperparameters(self.hyperparameters)
        check_strategy(self.strategy, self.devices)
        if self.out_dir is None:
            folder = pathlib.Path("runs") / self.name
            object.__setattr__(self, "out_dir", str(folder))

    @property
    def name(self):
        """Short name: the dataset, or the stem of its file."""
        if self.dataset.endswith(".npz"):
            return pathlib.Path(self.dataset).stem
        return self.dataset.replace("/", "_").replace(":", "_")


def check_positive_int(name, value):
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected an integer of at "
            f"least 1. Received: {name}={value!r}"
        )


def check_hyperparameters(hyperparameters):
    for name, values in hyperparameters.items():
        technique = get_technique(name)
        if not isinstance(values, dict):
            raise ValueError(
                "Invalid value for argument `hyperparameters`. Expected a "
                f"dictionary by hyperparameter for {name!r}. Received: "
                f"{values!r}"
            )
        technique.hyperparameters(values)
        for key, value in values.items():
            if key in ("ghost_batch_size", "groups"):
                check_positive_int(key, value)
            else:
                check_kind(f"{name}.{key}", value, technique.defaults[key])


def check_kind(name, value, default):
    """Raise unless `value` is of the same kind as its default."""
    if isinstance(default, str):
        expected, right = "a word", isinstance(value, str)
    else:
        expected = "a number"
        right = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if default is None:
            expected, right = "a number or None", right or value is None
    if not right:
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected {expected}, as "
            f"the default, {default!r}. Received: {name}={value!r}"
        )
