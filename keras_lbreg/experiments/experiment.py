"""What to run: a dataset, arms, seeds and sizes."""

import dataclasses
import pathlib


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
