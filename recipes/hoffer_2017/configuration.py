"""What Hoffer et al. ran: networks, regimes, results.

What neither the paper nor its authors' code says stands in the README of this
folder, with what was chosen instead.
"""

import dataclasses
import functools

from keras_lbreg.data import Augmentation
from recipes import networks
from recipes.paper import Comparison, Recipe

# The columns of the results table, and what their arms are called here.
COLUMNS = {
    "small_batch": "SB",
    "large_batch": "LB",
    "lr": "+LR",
    "lr_gbn": "+GBN",
    "lr_gbn_ra": "+RA",
}
# The control that the paper lacks.
WARM_UP = "lr_warmup"
ARMS = (*COLUMNS, WARM_UP)


def moments(mean, std):
    """Mean and variance of pixels from 0 to 255, of those from 0 to 1."""
    return (
        tuple(255 * value for value in mean),
        tuple((255 * value) ** 2 for value in std),
    )


def milestones(epochs, first, *pairs):
    """A printed table of epochs and rates as `Recipe.milestones`."""
    return tuple((epoch / epochs, rate / first) for epoch, rate in pairs)


def ghosts(size):
    return {"ghost_batch_norm": {"ghost_batch_size": size}}


# The habits of the authors' trainer.
authors_recipe = functools.partial(
    Recipe,
    small_batch_size=128,
    batch_size=4096,
    optimizer="coupled_sgd",
    clip=5.0,
    reset_momentum=True,
    techniques=ghosts(128),
)
IMAGENET = moments((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR = {
    "augmentation": Augmentation(pad=4, flip=True),
    "pixel_moments": IMAGENET,
}

F1 = authors_recipe(
    network=functools.partial(networks.fully_connected, widths=(512,) * 5),
    learning_rate=0.1,
    epochs=50,
    milestones=milestones(50, 0.1, (10, 0.01), (20, 1e-3), (30, 1e-4)),
    weight_decay=1e-4,
    augmentation=Augmentation(pad=2, flip=True),
    pixel_moments=moments((0.5,), (0.5,)),
    techniques={**ghosts(128), "dreg": {"layer": "dense_5"}},
)
C1 = authors_recipe(
    network=networks.c1,
    learning_rate=1e-3,
    epochs=200,
    milestones=milestones(200, 1e-3, (60, 1e-2), (120, 1e-3), (180, 1e-4)),
    momentum=0.0,
    weight_decay=5e-4,
    **CIFAR,
)
RESNET44 = authors_recipe(
    network=networks.resnet44,
    batch_size=2048,
    learning_rate=0.1,
    epochs=100,
    # The last two lie beyond the script's 100 epochs; regime adaptation keeps
    # them there.
    milestones=milestones(100, 0.1, (81, 0.01), (122, 1e-3), (164, 1e-4)),
    weight_decay=1e-4,
    techniques=ghosts(256),
    **CIFAR,
)
VGG = authors_recipe(
    network=networks.vgg16,
    learning_rate=0.1,
    epochs=200,
    milestones=milestones(200, 0.1, (60, 0.02), (120, 4e-3), (160, 8e-4)),
    weight_decay=5e-4,
    **CIFAR,
)
WRESNET = authors_recipe(
    network=networks.wide_resnet16_4,
    learning_rate=0.1,
    epochs=100,
    milestones=milestones(100, 0.1, (60, 0.02), (120, 4e-3), (140, 1e-4)),
    weight_decay=5e-4,
    **CIFAR,
)
DIGITS = authors_recipe(
    network=functools.partial(networks.fully_connected, widths=(128, 128)),
    small_batch_size=16,
    batch_size=512,
    learning_rate=0.02,
    epochs=20,
    weight_decay=1e-4,
    # An epoch of the large batch is two updates: without the momentum of the
    # one before there would be none.
    reset_momentum=False,
    augmentation=Augmentation(pad=1),
    techniques={**ghosts(16), "dreg": {"layer": "dense_2"}},
)
# ResNet44's regime on a network and images that two cores can train.
RESNET8 = authors_recipe(
    network=networks.resnet8,
    batch_size=2048,
    learning_rate=0.1,
    epochs=30,
    milestones=((0.5, 0.1), (0.8, 0.01)),
    weight_decay=1e-4,
    pooled=2,
    augmentation=Augmentation(pad=2, flip=True),
    pixel_moments=IMAGENET,
)


# The paper's validation accuracies by column.
PERCENT = {
    "f1": (98.27, 97.05, 97.55, 97.60, 98.53),
    "c1": (87.80, 83.95, 86.15, 86.4, 88.20),
    "resnet44": (92.83, 86.10, 89.30, 90.50, 93.07),
    "vgg": (92.30, 84.1, 88.6, 91.50, 93.03),
    "c3": (61.25, 51.50, 57.38, 57.5, 63.20),
    "wresnet16_4": (73.70, 68.15, 69.05, 71.20, 73.57),
}
PUBLISHED = {
    "f1": ("F1, MNIST", "mnist", F1),
    "c1": ("C1, CIFAR-10", "cifar10", C1),
    "resnet44": ("ResNet44, CIFAR-10", "cifar10", RESNET44),
    "vgg": ("VGG16, CIFAR-10", "cifar10", VGG),
    "c3": ("C3, CIFAR-100", "cifar100", C1),
    "wresnet16_4": ("WResnet16-4, CIFAR-100", "cifar100", WRESNET),
}
TABLE = "results table"
ROWS = (
    *(
        Comparison(
            name,
            *what,
            ARMS,
            TABLE,
            dict(zip(COLUMNS, PERCENT[name], strict=True)),
        )
        for name, what in PUBLISHED.items()
    ),
    Comparison(
        "f1_2048",
        "F1, MNIST, batch 2048",
        "mnist",
        F1,
        ("large_batch", "lr", "lr_gbn"),
        TABLE,
        batch_size=2048,
    ),
    Comparison(
        "resnet8",
        "ResNet8, CIFAR-10 at 16x16 (ours, small)",
        "cifar10",
        RESNET8,
        (
            "small_batch",
            "large_batch",
            "lr",
            WARM_UP,
            "lr_gbn",
            "lr_gbn_mean",
        ),
        "the same in small",
    ),
    Comparison(
        "digits",
        "two layers of 128, digits (ours, small)",
        "digits",
        DIGITS,
        ARMS,
        "the same in small",
        seeds=5,
    ),
)

# The trainer's habits, one taken away at a time.
HABITS = {
    "no_clip": ("no gradient clip", {"clip": None}),
    "no_decay": ("no weight decay", {"weight_decay": 0.0}),
    "keras_norm": ("batch normalization .99 / 1e-3", {"norm": (0.99, 1e-3)}),
    "kept_momentum": ("momentum kept across epochs", {"reset_momentum": False}),
    "no_flip": ("crop without the flip", {"augmentation": Augmentation(pad=2)}),
    "no_augmentation": ("no augmentation", {"augmentation": None}),
    "keras_sgd": (
        "Keras's SGD: decoupled decay, rate in the velocity, momentum kept",
        {"optimizer": "sgd", "reset_momentum": False},
    ),
}
HABIT_ARMS = ("small_batch", "large_batch", "lr_gbn")
HABIT_COMPARISONS = tuple(
    Comparison(
        f"f1_{name}",
        title,
        "mnist",
        dataclasses.replace(F1, **changes),
        HABIT_ARMS,
        "habits of the trainer",
        seeds=1,
    )
    for name, (title, changes) in HABITS.items()
)

# How much of ghost batch normalization's gain is the lag of the moving
# statistics: judged with and without them, at two momenta.
LAG_ARMS = ("large_batch", "lr", "lr_gbn", "lr_gbn_mean")
LAG_MOMENTA = (0.9, 0.99)
# Title, dataset, recipe, seeds, and the epochs of short runs.
LAGS = {
    "f1": ("F1, MNIST", "mnist", F1, 3, 5),
    "c1": ("C1, CIFAR-10", "cifar10", C1, 1, 20),
    "digits": ("two layers of 128, digits", "digits", DIGITS, 5, 3),
    "resnet8": ("ResNet8, CIFAR-10 at 16x16", "cifar10", RESNET8, 3, 5),
}


def lag_comparisons(name, title, dataset, recipe, seeds, short):
    """Long runs and short ones at both momenta."""
    for epochs in (recipe.epochs, short):
        end = ""
        if epochs != recipe.epochs:
            end = f", {epochs} of {recipe.epochs} epochs"
        for momentum in LAG_MOMENTA:
            yield Comparison(
                f"lag_{name}{'_short' if end else ''}_m{100 * momentum:.0f}",
                title + end,
                dataset,
                dataclasses.replace(
                    recipe, epochs=epochs, norm=(momentum, 1e-5)
                ),
                LAG_ARMS,
                f"lag, momentum {momentum:g}",
                seeds=seeds,
            )


LAG_COMPARISONS = tuple(
    comparison
    for name, what in LAGS.items()
    for comparison in lag_comparisons(name, *what)
)
