"""How a dataset is trained: network, sizes and regime."""

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Network, batch sizes and training regime for one dataset.

    The learning rate and the drops are those of the small batch; nobody tuned
    anything for the large one.

    Args:
        network: `network(dataset)` builds the uncompiled model.
        small_batch_size: Batch size of the reference.
        batch_size: The large batch size.
        learning_rate: Learning rate of the small batch at epoch 0.
        epochs: Length of the run.
        milestones: Pairs `(fraction, factor)`: from this fraction of the
            epochs on, the learning rate is `factor` times the first one.
        momentum: Momentum of SGD.
        clip: Global norm the gradient is clipped to, or `None`.
        dreg_layer: The layer DReg duplicates, see `keras_lbreg.apply_dreg`.
        image_size: Size to resize images to, where they differ in size.
        hyperparameters: Hyperparameters of techniques that fit this dataset,
            by technique name.

    Example:

    >>> recipe_for("digits").batch_size
    512

    Reference: `keras_lbreg.experiments.recipes` has them all.
    """

    network: Callable
    small_batch_size: int
    batch_size: int
    learning_rate: float
    epochs: int
    milestones: tuple = ((0.5, 0.1), (0.75, 0.01))
    momentum: float = 0.9
    clip: float | None = None
    dreg_layer: str | int = "last_conv"
    image_size: tuple | None = None
    hyperparameters: dict = dataclasses.field(default_factory=dict)
