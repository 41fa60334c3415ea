"""What Yuan et al. ran: networks, batch sizes, positions, weights, momenta.

The paper gives no learning rate, schedule, weight decay or augmentation. What
was chosen instead, and why, stands in the README of this folder.
"""

import dataclasses

from keras_lbreg.comparison.arms import BASELINE
from keras_lbreg.data import Augmentation
from recipes import networks
from recipes.study.comparison import Comparison
from recipes.study.recipe import Recipe
from recipes.yuan_2020.arms import (
    ARMS,
    DOUBLED,
    all_arms,
    position_arms,
    weight_arms,
)

BATCH_SIZES = tuple(1024 * factor for factor in (2, 4, 6, 8, 10, 20, 30))
WEIGHTS = (0.001, 0.01, 0.1, 1.0)
MOMENTA = (0.0, 0.5, 0.9)

# The last layer of each stage.
MOBILENET_POSITIONS = tuple(
    f"block_{block}_depthwise" for block in (1, 3, 6, 10, 13, 16, 17)
)
RESNET18_POSITIONS = tuple(
    f"stage_{stage}_block_2_conv_2" for stage in (1, 2, 3, 4)
)

# Figures 6 and 7 do not say at which batch size.
USUAL_BATCH_SIZE = 4096


def recipe(name, network, dreg_layer, **settings):
    """A `Recipe` with what was chosen where the paper says nothing."""
    return Recipe(
        name=f"yuan_2020/{name}",
        network=network,
        dreg_layer=dreg_layer,
        **{
            # No arm uses it; the large batch has to be larger.
            "small_batch_size": 128,
            "batch_size": USUAL_BATCH_SIZE,
            "learning_rate": 1e-3,
            "epochs": 350,
            "milestones": (),
            "optimizer": "coupled_sgd",
            "weight_decay": 5e-4,
            "augmentation": Augmentation(pad=4, flip=True),
            **settings,
        },
    )


VGG16 = recipe("vgg16", networks.vgg16, "conv_13")
MOBILENET_V2 = recipe(
    "mobilenet_v2", networks.mobilenet_v2, MOBILENET_POSITIONS[-1]
)
RESNET18 = recipe("resnet18", networks.resnet18, RESNET18_POSITIONS[-1])

FIGURES = {
    2: ("VGG16, CIFAR-10", "cifar10", VGG16),
    3: ("VGG16, CIFAR-100", "cifar100", VGG16),
    4: ("MobileNetV2, CIFAR-100", "cifar100", MOBILENET_V2),
    5: ("ResNet18, CIFAR-100", "cifar100", RESNET18),
}
BATCHES = tuple(
    Comparison(
        f"fig{figure}_batch_{batch}",
        f"{title}, batch {batch}",
        dataset,
        setting,
        ARMS,
        extra_arms=all_arms(),
        part=f"Fig. {figure}",
        batch_size=batch,
    )
    for figure, (title, dataset, setting) in FIGURES.items()
    for batch in BATCH_SIZES
)


def against_the_baseline(name, title, dataset, setting, arms, **settings):
    """The comparison of some arms, with the doubled rate as a control."""
    return Comparison(
        name,
        title,
        dataset,
        setting,
        (BASELINE, "doubled", *(arm.name for arm in arms)),
        extra_arms=(DOUBLED, *arms),
        **settings,
    )


def positions(name, title, dataset, setting, layers, **settings):
    """The comparison of places of the doubled layer."""
    arms = position_arms(layers)
    return against_the_baseline(name, title, dataset, setting, arms, **settings)


def weights(name, title, dataset, setting, **settings):
    """The comparison of weights of the penalty."""
    arms = weight_arms(WEIGHTS)
    return against_the_baseline(name, title, dataset, setting, arms, **settings)


def momenta(name, title, dataset, setting, **settings):
    """A comparison for each momentum, λ = .01 as in Fig. 8."""
    return tuple(
        Comparison(
            f"{name}_{str(momentum).replace('.', '_')}",
            f"{title}, momentum {momentum:g}",
            dataset,
            dataclasses.replace(
                setting, name=f"{setting.name}_m{momentum:g}", momentum=momentum
            ),
            ARMS,
            extra_arms=all_arms(weight=0.01),
            **settings,
        )
        for momentum in MOMENTA
    )


OTHERS = (
    positions(
        "fig6_mobilenet_v2",
        "MobileNetV2, CIFAR-100, position of the layer",
        "cifar100",
        MOBILENET_V2,
        MOBILENET_POSITIONS,
        part="Fig. 6",
    ),
    positions(
        "fig6_resnet18",
        "ResNet18, CIFAR-100, position of the layer",
        "cifar100",
        RESNET18,
        RESNET18_POSITIONS,
        part="Fig. 6",
    ),
    weights(
        "fig7",
        "VGG16, CIFAR-10, weight of the penalty",
        "cifar10",
        VGG16,
        part="Fig. 7",
    ),
    *momenta(
        "fig8_momentum",
        "VGG16, CIFAR-10, batch 30720",
        "cifar10",
        VGG16,
        part="Fig. 8",
        batch_size=BATCH_SIZES[-1],
    ),
)
