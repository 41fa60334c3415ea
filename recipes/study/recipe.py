"""How a paper trains a network, and the workload that it makes of a dataset."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np

from keras_lbreg import LARS, CoupledSGD, Regime, Workload
from keras_lbreg.data import load_dataset


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Network, batch sizes and training regime of a paper.

    The learning rate and its drops are those of the small batch; nobody tuned
    anything for the large one.

    Args:
        name: Name in manifests and tables.
        network: `network(dataset)` builds the uncompiled model, see
            `recipes.networks`.
        small_batch_size: Batch size of the reference.
        batch_size: The large batch size.
        learning_rate: Learning rate of the small batch at epoch 0.
        epochs: Length of the run.
        milestones: Pairs `(fraction, factor)`: from this fraction of the
            epochs on, the learning rate is `factor` times the first one.
        momentum: Momentum of SGD, or the first decay of Adam and LAMB.
        clip: Global norm the gradient is clipped to, or `None`.
        dreg_layer: The layer DReg doubles, see `keras_lbreg.apply_dreg`.
        image_size: Size to resize images to, where they differ in size.
        hyperparameters: Settings of techniques that fit, by technique name.
        optimizer: A key of `OPTIMIZERS`.
        weight_decay: Coupled weight decay of `"coupled_sgd"` and `"lars"`,
            decoupled of the others.
        reset_momentum: Whether the momentum is forgotten after every epoch,
            which `"coupled_sgd"` can.
        augmentation: An `Augmentation` of the training images, or `None`.
        pixel_moments: Mean and variance by channel to normalise images with,
            or `None` for those of the training data.
        norm_momentum: Momentum of batch normalization; Keras's own is 0.99.
        norm_epsilon: Its epsilon; Keras's own is 1e-3.
    """

    name: str
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
    optimizer: str = "sgd"
    weight_decay: float = 0.0
    reset_momentum: bool = False
    augmentation: object | None = None
    pixel_moments: tuple | None = None
    norm_momentum: float = 0.9
    norm_epsilon: float = 1e-5

    def workload(self, dataset, data_dir=None):
        """The `Workload` of a dataset, given by name, file or as it is."""
        if isinstance(dataset, str):
            dataset = load_dataset(dataset, data_dir, self.image_size)
        images = Images.of(dataset, self)
        return Workload(
            lambda steps_per_epoch: self.build_model(images, steps_per_epoch),
            train_data=(dataset.x_train, dataset.y_train),
            validation_data=(self.seen(dataset.x_val), dataset.y_val),
            regime=self.regime(),
            name=dataset.name,
            title=dataset.title,
            notes=dataset.notes,
            batch_size=self.batch_size,
            techniques={
                **self.hyperparameters,
                "dreg": {
                    "layer": self.dreg_layer,
                    **self.hyperparameters.get("dreg", {}),
                },
            },
            augmentation=self.augmentation,
            source=self.name,
        )

    def regime(self):
        """The small batch's `Regime`, with the milestones inside of the run."""
        milestones = {}
        for fraction, factor in self.milestones:
            epoch = round(fraction * self.epochs)
            if 0 < epoch < self.epochs:
                milestones[epoch] = self.learning_rate * factor
        return Regime(
            self.small_batch_size, self.learning_rate, self.epochs, milestones
        )

    def seen(self, images):
        """Images as the network sees them unaugmented: their middle."""
        if self.augmentation is None:
            return images
        return self.augmentation.of_validation(images)

    def build_network(self, images):
        """The uncompiled model, its normalization with our constants."""
        model = self.network(images)
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = self.norm_momentum
                layer.epsilon = self.norm_epsilon
        return model

    def build_model(self, images, steps_per_epoch):
        """The compiled model."""
        model = self.build_network(images)
        model.compile(
            make_optimizer(self, self.learning_rate, steps_per_epoch),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        return model

    def describe(self):
        """What recorded manifests of schema 1 say of the recipe."""
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


@dataclasses.dataclass(frozen=True)
class Images:
    """What a network has to know of a dataset, see `recipes.networks`."""

    x_train: np.ndarray
    input_shape: tuple
    classes: int
    moments: Callable

    @classmethod
    def of(cls, dataset, recipe):
        shape = tuple(dataset.x_train.shape[1:])
        if recipe.augmentation is not None:
            shape = recipe.augmentation.output_shape(shape)
        given = recipe.pixel_moments
        return cls(
            dataset.x_train,
            shape,
            dataset.classes,
            (lambda: tuple(map(list, given))) if given else dataset.moments,
        )


def make_optimizer(recipe, learning_rate, steps_per_epoch):
    """The optimizer of a recipe."""
    if recipe.optimizer not in OPTIMIZERS:
        raise ValueError(
            "Invalid value for argument `optimizer`. Expected one of "
            f"{sorted(OPTIMIZERS)}. Received: optimizer={recipe.optimizer!r}"
        )
    settings = {
        "learning_rate": learning_rate,
        "global_clipnorm": recipe.clip,
    }
    if recipe.weight_decay:
        settings["weight_decay"] = recipe.weight_decay
    if recipe.reset_momentum:
        if recipe.optimizer != "coupled_sgd":
            raise ValueError(
                "Invalid value for argument `reset_momentum`. Expected the "
                "optimizer 'coupled_sgd' with it. Received: "
                f"optimizer={recipe.optimizer!r}"
            )
        settings["reset_momentum_every"] = steps_per_epoch
    decay, optimizer = OPTIMIZERS[recipe.optimizer]
    return optimizer(**{decay: recipe.momentum}, **settings)


# What the momentum is called, and the class.
OPTIMIZERS = {
    "sgd": ("momentum", keras.optimizers.SGD),
    "coupled_sgd": ("momentum", CoupledSGD),
    "adam": ("beta_1", keras.optimizers.Adam),
    "lamb": ("beta_1", keras.optimizers.Lamb),
    "lars": ("momentum", LARS),
}
