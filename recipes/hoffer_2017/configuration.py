"""What Hoffer et al. ran: networks, regimes, results.

Everything that is not said in the paper or its authors' code stands in the
README of this folder, with what was chosen instead.
"""

import dataclasses
import functools

from keras_lbreg.data import Augmentation
from recipes import networks
from recipes.study.comparison import Comparison
from recipes.study.recipe import Recipe

# The columns of the results table, and what their arms are called here.
COLUMNS = {
    "small_batch": "SB",
    "large_batch": "LB",
    "lr": "+LR",
    "lr_gbn": "+GBN",
    "lr_gbn_ra": "+RA",
}
ARMS = tuple(COLUMNS)

# Mean and standard deviation of pixels between 0 and 1, as the authors' code
# has them; the networks here take pixels from 0 to 255.
HALF = ((0.5,), (0.5,))
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def moments(mean_and_std):
    """Mean and variance of pixels from 0 to 255."""
    mean, std = mean_and_std
    return (
        tuple(255 * value for value in mean),
        tuple((255 * value) ** 2 for value in std),
    )


def recipe(name, **settings):
    """A `Recipe` with the habits of the authors' trainer."""
    return Recipe(
        name=f"hoffer_2017/{name}",
        optimizer="coupled_sgd",
        clip=5.0,
        **{
            "small_batch_size": 128,
            "batch_size": 4096,
            "reset_momentum": True,
            **settings,
        },
    )


def ghosts(size):
    return {"ghost_batch_norm": {"ghost_batch_size": size}}


def milestones(epochs, first, *pairs):
    """A printed table of epochs and rates as `Recipe.milestones`."""
    return tuple((epoch / epochs, rate / first) for epoch, rate in pairs)


CIFAR = {
    "augmentation": Augmentation(pad=4, flip=True),
    "pixel_moments": moments(IMAGENET),
}

F1 = recipe(
    "f1",
    network=functools.partial(networks.fully_connected, widths=(512,) * 5),
    learning_rate=0.1,
    epochs=50,
    milestones=milestones(50, 0.1, (10, 0.01), (20, 1e-3), (30, 1e-4)),
    weight_decay=1e-4,
    augmentation=Augmentation(pad=2, flip=True),
    pixel_moments=moments(HALF),
    hyperparameters=ghosts(128),
    dreg_layer="dense_5",
)
C1 = recipe(
    "c1",
    network=networks.c1,
    learning_rate=1e-3,
    epochs=200,
    milestones=milestones(200, 1e-3, (60, 1e-2), (120, 1e-3), (180, 1e-4)),
    momentum=0.0,
    weight_decay=5e-4,
    hyperparameters=ghosts(128),
    **CIFAR,
)
RESNET44 = recipe(
    "resnet44",
    network=networks.resnet44,
    batch_size=2048,
    learning_rate=0.1,
    epochs=100,
    # The last two lie beyond the script's 100 epochs; regime adaptation keeps
    # them there.
    milestones=milestones(100, 0.1, (81, 0.01), (122, 1e-3), (164, 1e-4)),
    weight_decay=1e-4,
    hyperparameters=ghosts(256),
    **CIFAR,
)
VGG = recipe(
    "vgg",
    network=networks.vgg16,
    learning_rate=0.1,
    epochs=200,
    milestones=milestones(200, 0.1, (60, 0.02), (120, 4e-3), (160, 8e-4)),
    weight_decay=5e-4,
    hyperparameters=ghosts(128),
    **CIFAR,
)
WRESNET = recipe(
    "wresnet16_4",
    network=networks.wide_resnet16_4,
    learning_rate=0.1,
    epochs=100,
    milestones=milestones(100, 0.1, (60, 0.02), (120, 4e-3), (140, 1e-4)),
    weight_decay=5e-4,
    hyperparameters=ghosts(128),
    **CIFAR,
)
ALEXNET = recipe(
    "alexnet",
    network=networks.alexnet,
    learning_rate=0.01,
    epochs=30,
    milestones=milestones(
        30, 0.01, (10, 5e-3), (15, 1e-3), (20, 5e-4), (25, 1e-4)
    ),
    weight_decay=5e-4,
    image_size=(256, 256),
    augmentation=Augmentation(crop=(224, 224), flip=True),
    pixel_moments=moments(IMAGENET),
    hyperparameters=ghosts(128),
)
DIGITS = recipe(
    "digits",
    network=functools.partial(networks.fully_connected, widths=(128, 128)),
    small_batch_size=16,
    batch_size=512,
    learning_rate=0.02,
    epochs=20,
    milestones=((0.5, 0.1), (0.75, 0.01)),
    weight_decay=1e-4,
    # An epoch of the large batch is two updates: without the momentum of the
    # one before there would be none.
    reset_momentum=False,
    augmentation=Augmentation(pad=1),
    hyperparameters=ghosts(16),
    dreg_layer="dense_2",
)


def paper(*percent):
    return dict(zip(ARMS, percent, strict=True))


TABLE = "results table"
ROWS = (
    Comparison(
        "f1",
        "F1, MNIST",
        "mnist",
        F1,
        ARMS,
        part=TABLE,
        paper=paper(98.27, 97.05, 97.55, 97.60, 98.53),
    ),
    Comparison(
        "f1_2048",
        "F1, MNIST, batch 2048",
        "mnist",
        F1,
        ("large_batch", "lr", "lr_gbn"),
        part=TABLE,
        batch_size=2048,
    ),
    Comparison(
        "c1",
        "C1, CIFAR-10",
        "cifar10",
        C1,
        ARMS,
        part=TABLE,
        paper=paper(87.80, 83.95, 86.15, 86.4, 88.20),
    ),
    Comparison(
        "resnet44",
        "ResNet44, CIFAR-10",
        "cifar10",
        RESNET44,
        ARMS,
        part=TABLE,
        paper=paper(92.83, 86.10, 89.30, 90.50, 93.07),
    ),
    Comparison(
        "vgg",
        "VGG16, CIFAR-10",
        "cifar10",
        VGG,
        ARMS,
        part=TABLE,
        paper=paper(92.30, 84.1, 88.6, 91.50, 93.03),
    ),
    Comparison(
        "c3",
        "C3, CIFAR-100",
        "cifar100",
        dataclasses.replace(C1, name="hoffer_2017/c3"),
        ARMS,
        part=TABLE,
        paper=paper(61.25, 51.50, 57.38, 57.5, 63.20),
    ),
    Comparison(
        "wresnet16_4",
        "WResnet16-4, CIFAR-100",
        "cifar100",
        WRESNET,
        ARMS,
        part=TABLE,
        paper=paper(73.70, 68.15, 69.05, 71.20, 73.57),
    ),
    Comparison(
        "alexnet_4096",
        "AlexNet, ImageNet, batch 4096",
        "imagenet2012",
        ALEXNET,
        ARMS,
        part=TABLE,
        paper=paper(57.10, 41.23, 53.25, 54.92, 59.5),
    ),
    Comparison(
        "alexnet_8192",
        "AlexNet, ImageNet, batch 8192",
        "imagenet2012",
        ALEXNET,
        ARMS,
        part=TABLE,
        paper=paper(57.10, 41.23, 53.25, 53.93, 59.5),
        batch_size=8192,
    ),
    Comparison(
        "digits",
        "two layers of 128, digits (ours, small)",
        "digits",
        DIGITS,
        ARMS,
        part="the same in small",
        seeds=5,
    ),
)

# The trainer's habits, one taken away at a time.
HABITS = {
    "no_clip": ("no gradient clip", {"clip": None}),
    "no_decay": ("no weight decay", {"weight_decay": 0.0}),
    "keras_norm": (
        "batch normalization .99 / 1e-3",
        {"norm_momentum": 0.99, "norm_epsilon": 1e-3},
    ),
    "kept_momentum": ("momentum kept across epochs", {"reset_momentum": False}),
    "no_flip": (
        "crop without the flip",
        {"augmentation": Augmentation(pad=2)},
    ),
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
        f"F1, MNIST, {title}",
        "mnist",
        dataclasses.replace(F1, name=f"hoffer_2017/f1_{name}", **changes),
        HABIT_ARMS,
        part="habits of the trainer",
        seeds=1,
    )
    for name, (title, changes) in HABITS.items()
)
