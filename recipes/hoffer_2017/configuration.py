"""What Hoffer et al. ran: networks, regimes, results.

What neither the paper nor its authors' code says is in the README of this
folder, with what was chosen instead.
"""

import dataclasses
import functools

from keras_lbreg.data import Augmentation
from keras_lbreg.workloads.networks import c1, fully_connected
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


def drops(epochs, first, *pairs):
    """A printed table of epochs and rates as `Recipe.milestones`."""
    return tuple((epoch / epochs, rate / first) for epoch, rate in pairs)


def ghosts(size, **others):
    return {"ghost_batch_norm": {"ghost_batch_size": size}, **others}


# The habits of the authors' trainer.
authors_recipe = functools.partial(
    Recipe,
    small_batch_size=128,
    batch_size=4096,
    optimizer="coupled_sgd",
    clip=5.0,
    weight_decay=5e-4,
    reset_momentum=True,
    techniques=ghosts(128),
)
IMAGENET = moments((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR = {
    "augmentation": Augmentation(pad=4, flip=True),
    "pixel_moments": IMAGENET,
}
# Beyond epoch 100 are drops that regime adaptation alone reaches.
F1_DROPS = drops(50, 0.1, (10, 0.01), (20, 1e-3), (30, 1e-4))
C1_DROPS = drops(200, 1e-3, (60, 1e-2), (120, 1e-3), (180, 1e-4))
RESNET44_DROPS = drops(100, 0.1, (81, 0.01), (122, 1e-3), (164, 1e-4))
VGG_DROPS = drops(200, 0.1, (60, 0.02), (120, 4e-3), (160, 8e-4))
WRESNET_DROPS = drops(100, 0.1, (60, 0.02), (120, 4e-3), (140, 1e-4))
F1 = authors_recipe(
    functools.partial(fully_connected, widths=(512,) * 5),
    0.1,
    50,
    F1_DROPS,
    weight_decay=1e-4,
    augmentation=Augmentation(pad=2, flip=True),
    pixel_moments=moments((0.5,), (0.5,)),
    techniques=ghosts(128, dreg={"layer": "dense_5"}),
)
C1 = authors_recipe(c1, 1e-3, 200, C1_DROPS, momentum=0.0, **CIFAR)
RESNET44 = authors_recipe(
    networks.resnet44,
    0.1,
    100,
    RESNET44_DROPS,
    batch_size=2048,
    weight_decay=1e-4,
    techniques=ghosts(256),
    **CIFAR,
)
VGG = authors_recipe(networks.vgg16, 0.1, 200, VGG_DROPS, **CIFAR)
WRESNET = authors_recipe(
    networks.wide_resnet16_4, 0.1, 100, WRESNET_DROPS, **CIFAR
)
DIGITS = authors_recipe(
    functools.partial(fully_connected, widths=(128, 128)),
    0.02,
    20,
    small_batch_size=16,
    batch_size=512,
    weight_decay=1e-4,
    # An epoch of the large batch is two updates: without the momentum of the
    # one before there would be none.
    reset_momentum=False,
    augmentation=Augmentation(pad=1),
    techniques=ghosts(16, dreg={"layer": "dense_2"}),
)
# ResNet44's regime on a network and images that two cores can train.
RESNET8 = authors_recipe(
    networks.resnet8,
    0.1,
    30,
    ((0.5, 0.1), (0.8, 0.01)),
    batch_size=2048,
    weight_decay=1e-4,
    pooled=2,
    augmentation=Augmentation(pad=2, flip=True),
    pixel_moments=IMAGENET,
)

# Title, dataset and recipe.
PUBLISHED = {
    "f1": ("F1, MNIST", "mnist", F1),
    "c1": ("C1, CIFAR-10", "cifar10", C1),
    "resnet44": ("ResNet44, CIFAR-10", "cifar10", RESNET44),
    "vgg": ("VGG16, CIFAR-10", "cifar10", VGG),
    "c3": ("C3, CIFAR-100", "cifar100", C1),
    "wresnet16_4": ("WResnet16-4, CIFAR-100", "cifar100", WRESNET),
}
# The paper's validation accuracies by column.
PERCENT = {
    "f1": (98.27, 97.05, 97.55, 97.60, 98.53),
    "c1": (87.80, 83.95, 86.15, 86.4, 88.20),
    "resnet44": (92.83, 86.10, 89.30, 90.50, 93.07),
    "vgg": (92.30, 84.1, 88.6, 91.50, 93.03),
    "c3": (61.25, 51.50, 57.38, 57.5, 63.20),
    "wresnet16_4": (73.70, 68.15, 69.05, 71.20, 73.57),
}
TABLE, SMALL = "results table", "the same in small"
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
        (*ARMS[:3], WARM_UP, "lr_gbn", "lr_gbn_mean"),
        SMALL,
    ),
    Comparison(
        "digits",
        "two layers of 128, digits (ours, small)",
        "digits",
        DIGITS,
        ARMS,
        SMALL,
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
LAG_COMPARISONS = tuple(
    Comparison(
        f"lag_{name}{suffix}_m{100 * momentum:.0f}",
        f"{title}, {short} of {recipe.epochs} epochs" if suffix else title,
        dataset,
        dataclasses.replace(
            recipe,
            epochs=short if suffix else recipe.epochs,
            norm=(momentum, 1e-5),
        ),
        LAG_ARMS,
        f"lag, momentum {momentum:g}",
        seeds=seeds,
    )
    for name, (title, dataset, recipe, seeds, short) in LAGS.items()
    for suffix in ("", "_short")
    for momentum in LAG_MOMENTA
)
