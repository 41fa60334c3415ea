"""What Yuan et al. ran: networks, batch sizes, positions, weights, momenta.

The paper gives no learning rate, schedule, weight decay or augmentation. What
was chosen instead, and why, is in the README of this folder.
"""

import dataclasses
import functools

from keras_lbreg import Arm
from keras_lbreg.data import Augmentation
from keras_lbreg.workloads.networks import small_convolution
from recipes import networks
from recipes.paper import Comparison, Recipe

BATCH_SIZES = tuple(1024 * factor for factor in (2, 4, 6, 8, 10, 20, 30))
WEIGHTS = (0.001, 0.01, 0.1, 1.0)
MOMENTA = (0.0, 0.5, 0.9)

BASELINE = "large_batch"
# Two cross-entropies give shared weights twice the gradient.
DOUBLED = Arm(
    "Learning rate x2 (control)",
    learning_rate_factor=2.0,
    name="doubled",
    group="control",
    control=BASELINE,
)


def dreg_arm(name="dreg", title="DReg", **settings):
    """An arm with DReg, in the paper's form where `settings` say nothing.

    Reference: Eq. 3 of https://arxiv.org/abs/2011.08968
    """
    paper = {
        "weight": 0.1,
        "distance": "frobenius",
        "paths": "both",
        "path_reduction": "sum",
    }
    return Arm(
        title,
        {"dreg": {**paper, **settings}},
        name=name,
        group="alone",
        control="doubled",
    )


def all_arms(weight=0.1):
    """The arms of every comparison of batch sizes.

    The weight of the penalty is one for all, so that the distance of the
    kernels follows one law. The mean and the split data term are half of the
    sum: the penalty counts double beside them.
    """
    forms = (
        ("dreg", "DReg (the paper's form)", {}),
        (
            "dreg_mean",
            "DReg, mean of the paths (control)",
            {"path_reduction": "mean"},
        ),
        ("dreg_split", "DReg, split batch (ours)", {"paths": "split"}),
        # Recorded with the bare ratio of ‖D‖² and the sum of squares: the
        # bounded distance with λ / n_0.
        (
            "dreg_relative",
            "DReg, bounded distance (recorded: bare ratio)",
            {"distance": "bounded"},
        ),
    )
    arms = (dreg_arm(n, t, weight=weight, **changes) for n, t, changes in forms)
    return BASELINE, DOUBLED, *arms


def number_name(number):
    return str(number).replace(".", "_")


def position_arms(layers):
    """An arm for each layer that DReg may double, named after it."""
    return tuple(
        dreg_arm(f"dreg_{layer}", f"DReg at {layer}", layer=layer)
        for layer in layers
    )


# An arm for each weight of the penalty.
WEIGHT_ARMS = tuple(
    dreg_arm(
        f"dreg_weight_{number_name(weight)}",
        f"DReg, λ = {weight:g}",
        weight=weight,
    )
    for weight in WEIGHTS
)


def doubling(layer):
    return {"dreg": {"layer": layer}}


# What was chosen where the paper says nothing. No arm uses the small batch.
paper_recipe = functools.partial(
    Recipe,
    learning_rate=1e-3,
    epochs=350,
    milestones=(),
    optimizer="coupled_sgd",
    weight_decay=5e-4,
    augmentation=Augmentation(pad=4, flip=True),
)
# The last layer of each stage.
MOBILENET_POSITIONS = tuple(
    f"block_{block}_depthwise" for block in (1, 3, 6, 10, 13, 16, 17)
)
RESNET18_POSITIONS = tuple(
    f"stage_{stage}_block_2_conv_2" for stage in (1, 2, 3, 4)
)
VGG16 = paper_recipe(networks.vgg16, techniques=doubling("conv_13"))
MOBILENET_V2 = paper_recipe(
    networks.mobilenet_v2, techniques=doubling(MOBILENET_POSITIONS[-1])
)
RESNET18 = paper_recipe(
    networks.resnet18, techniques=doubling(RESNET18_POSITIONS[-1])
)
FIGURES = {
    2: ("VGG16, CIFAR-10", "cifar10", VGG16),
    3: ("VGG16, CIFAR-100", "cifar100", VGG16),
    4: ("MobileNetV2, CIFAR-100", "cifar100", MOBILENET_V2),
    5: ("ResNet18, CIFAR-100", "cifar100", RESNET18),
}


def momenta(name, title, dataset, recipe, part, batch_size, seeds=3):
    """A comparison for each momentum, λ = .01 as in Fig. 8."""
    return tuple(
        Comparison(
            f"{name}_{number_name(momentum)}",
            f"{title}, momentum {momentum:g}",
            dataset,
            dataclasses.replace(recipe, momentum=momentum),
            all_arms(weight=0.01),
            part,
            batch_size=batch_size,
            seeds=seeds,
        )
        for momentum in MOMENTA
    )


def varied(name, title, dataset, recipe, what, arms, part, seeds=3):
    """A comparison of arms that differ in the position or the weight."""
    arms = (BASELINE, DOUBLED, *arms)
    title = f"{title}, {what}"
    return Comparison(name, title, dataset, recipe, arms, part, seeds=seeds)


POSITION, WEIGHT = "position of the layer", "weight of the penalty"
MOBILENET_ARMS = position_arms(MOBILENET_POSITIONS)
RESNET18_ARMS = position_arms(RESNET18_POSITIONS)
PUBLISHED = (
    *(
        Comparison(
            f"fig{figure}_batch_{batch}",
            f"{title}, batch {batch}",
            dataset,
            recipe,
            all_arms(),
            f"Fig. {figure}",
            batch_size=batch,
        )
        for figure, (title, dataset, recipe) in FIGURES.items()
        for batch in BATCH_SIZES
    ),
    varied(
        "fig6_mobilenet_v2", *FIGURES[4], POSITION, MOBILENET_ARMS, "Fig. 6"
    ),
    varied("fig6_resnet18", *FIGURES[5], POSITION, RESNET18_ARMS, "Fig. 6"),
    varied("fig7", *FIGURES[2], WEIGHT, WEIGHT_ARMS, "Fig. 7"),
    *momenta(
        "fig8_momentum",
        "VGG16, CIFAR-10, batch 30720",
        "cifar10",
        VGG16,
        "Fig. 8",
        BATCH_SIZES[-1],
    ),
)

# The same in small. The learning rate was chosen by looking at the baseline
# alone: with it 40 epochs of the small batch are enough, and of the whole set
# as one batch not.
three_convolutions = functools.partial(small_convolution, widths=(16, 32, 64))
DIGITS = Recipe(
    three_convolutions,
    learning_rate=0.02,
    epochs=40,
    milestones=(),
    small_batch_size=16,
    batch_size=512,
    techniques=doubling("conv_3"),
)
DIGITS_BATCHES = tuple(
    Comparison(
        f"digits_batch_{batch}",
        f"digits, batch {batch} (ours, small)",
        "digits",
        DIGITS,
        all_arms(),
        "Figs. 2-5 in small",
        seeds=5,
        batch_size=batch,
    )
    for batch in (64, 128, 256, 512, 1024)
)
DIGITS_MOMENTA = momenta(
    "digits_momentum",
    "digits, batch 1024 (ours, small)",
    "digits",
    DIGITS,
    "Fig. 8 in small",
    batch_size=1024,
    seeds=5,
)
DIGITS_512 = ("digits, batch 512 (ours, small)", "digits", DIGITS)
DIGITS_ARMS = position_arms(("conv_1", "conv_2", "conv_3"))
DIGITS_OTHERS = tuple(
    varied(f"digits_{name}", *DIGITS_512, *what, seeds=5)
    for name, *what in (
        ("positions", POSITION, DIGITS_ARMS, "Fig. 6 in small"),
        ("weights", WEIGHT, WEIGHT_ARMS, "Fig. 7 in small"),
    )
)

# At a scale where the published effect could show, and two cores reach: images
# of 16x16 pixels, every arm on the square-root rule with warm-up.
CIFAR16 = Recipe(
    three_convolutions,
    learning_rate=0.05,
    epochs=30,
    milestones=((0.6, 0.1), (0.85, 0.01)),
    batch_size=2048,
    weight_decay=5e-4,
    optimizer="coupled_sgd",
    pooled=2,
    augmentation=Augmentation(pad=2, flip=True),
    techniques=doubling("conv_3"),
)
WARM = {"lr_scaling": {"warmup_epochs": 3}}
SCALED, SCALED_X2 = "warm", "warm_x2"


def scaled_dreg(name, title, factor=1.0, **settings):
    """An arm with DReg on the rule with warm-up, beside the doubled rate."""
    return Arm(
        title,
        {**WARM, "dreg": {"paths": "both", **settings}},
        name=name,
        learning_rate_factor=factor,
        group="alone",
        control=SCALED_X2,
    )


DISTANCES = ("frobenius", "bounded")
SCALE = Comparison(
    "cifar16_2048",
    "three convolutions, CIFAR-10 at 16x16, batch 2048 (ours)",
    "cifar10",
    CIFAR16,
    (
        "small_batch",
        BASELINE,
        Arm("LR + warm-up", WARM, name=SCALED, control=BASELINE),
        Arm(
            "LR + warm-up, x2 (control)",
            WARM,
            name=SCALED_X2,
            learning_rate_factor=2.0,
            group="control",
            control=SCALED,
        ),
        scaled_dreg("twin", "twin without penalty", weight=0.0),
        *(
            scaled_dreg(
                f"{distance}_{number_name(weight)}",
                f"DReg, {distance}, λ = {weight:g}",
                distance=distance,
                weight=weight,
            )
            for distance in DISTANCES
            for weight in WEIGHTS[:3]
        ),
        *(
            scaled_dreg(
                f"mean_{distance}_x2",
                f"DReg, {distance}, λ = 0.01, mean of the paths, rate x2",
                factor=2.0,
                distance=distance,
                weight=0.01,
                path_reduction="mean",
            )
            for distance in DISTANCES
        ),
    ),
    "Figs. 2-5 and 7 in small",
)
