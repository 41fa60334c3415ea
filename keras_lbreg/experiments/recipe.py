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
        momentum: Momentum of SGD, or the first decay of Adam and LAMB.
        clip: Global norm the gradient is clipped to, or `None`.
        dreg_layer: The layer DReg duplicates, see `keras_lbreg.apply_dreg`.
        image_size: Size to resize images to, where they differ in size.
        hyperparameters: Hyperparameters of techniques that fit this dataset,
            by technique name.
        name: Name in manifests and tables; `None` for the recipe that a
            dataset has without being asked.
        optimizer: `"sgd"` (Keras's), `"coupled_sgd"` (the papers'), `"adam"`,
            `"lamb"` or `"lars"`, see `make_optimizer`.
        weight_decay: Coupled weight decay of `"coupled_sgd"` and `"lars"`,
            decoupled of the others. Defaults to `0.0`.
        reset_momentum: Whether the momentum is forgotten after every epoch,
            which `"coupled_sgd"` can. Defaults to `False`.
        augmentation: An `Augmentation` of the training images, or `None`.
        pixel_moments: Mean and variance by channel to normalise images with,
            or `None` for those of the training data.
        norm_momentum: Momentum of batch normalization. Defaults to `0.9`, as
            the papers; Keras's own is 0.99.
        norm_epsilon: Its epsilon. Defaults to `1e-5`; Keras's own is 1e-3.

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
    name: str | None = None
    optimizer: str = "sgd"
    weight_decay: float = 0.0
    reset_momentum: bool = False
    augmentation: object | None = None
    pixel_moments: tuple | None = None
    norm_momentum: float = 0.9
    norm_epsilon: float = 1e-5

    def prepare(self, dataset):
        """The dataset as this recipe feeds it: augmented and scaled.

        Args:
            dataset: The loaded `Dataset`.

        Returns:
            A `Dataset`; only its validation images are new arrays.
        """
        if self.augmentation is not None:
            dataset = dataset.augmented(self.augmentation)
        if self.pixel_moments is not None:
            dataset = dataclasses.replace(
                dataset, pixel_moments=self.pixel_moments
            )
        return dataset

    def build_network(self, dataset):
        """The uncompiled model, its normalization with this recipe's constants.

        Args:
            dataset: The prepared `Dataset`.

        Returns:
            A `keras.Model`.
        """
        import keras

        model = self.network(dataset)
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = self.norm_momentum
                layer.epsilon = self.norm_epsilon
        return model

    def describe(self):
        """What a manifest says of the recipe, beside the sizes of a run.

        Two results whose recipes differ here cannot stand side by side.
        """
        augmentation = self.augmentation
        return {
            "recipe": self.name,
            "momentum": self.momentum,
            "clip": self.clip,
            "optimizer": self.optimizer,
            "weight_decay": self.weight_decay,
            "reset_momentum": self.reset_momentum,
            "augmentation": augmentation and augmentation.describe(),
            "pixel_moments": self.pixel_moments
            and [list(values) for values in self.pixel_moments],
            "norm": [self.norm_momentum, self.norm_epsilon],
        }
