"""The paper's figures in small: digits of 8x8 pixels, and MNIST."""

import functools

from recipes import networks
from recipes.study.comparison import Comparison
from recipes.yuan_2020.arms import ARMS, all_arms
from recipes.yuan_2020.configuration import (
    momenta,
    positions,
    recipe,
    weights,
)

DIGITS_BATCH_SIZES = (64, 128, 256, 512, 1024)
DIGITS_POSITIONS = ("conv_1", "conv_2", "conv_3")
SEEDS = 5


# The learning rate was chosen by looking at the baseline alone: with it 40
# epochs of the small batch are enough, and of the whole set as one batch not.
SMALL = {
    "network": functools.partial(
        networks.small_convolution, widths=(16, 32, 64)
    ),
    "dreg_layer": "conv_3",
    "learning_rate": 0.02,
    "optimizer": "sgd",
    "weight_decay": 0.0,
    "augmentation": None,
}
DIGITS = recipe(
    "digits", small_batch_size=16, batch_size=512, epochs=40, **SMALL
)
MNIST = recipe("mnist", epochs=20, **SMALL)

DIGITS_BATCHES = tuple(
    Comparison(
        f"digits_batch_{batch}",
        f"digits, batch {batch} (ours, small)",
        "digits",
        DIGITS,
        ARMS,
        extra_arms=all_arms(),
        part="Figs. 2-5 in small",
        seeds=SEEDS,
        batch_size=batch,
    )
    for batch in DIGITS_BATCH_SIZES
)
DIGITS_MOMENTA = momenta(
    "digits_momentum",
    "digits, batch 1024 (ours, small)",
    "digits",
    DIGITS,
    part="Fig. 8 in small",
    batch_size=1024,
    seeds=SEEDS,
)
DIGITS_OTHERS = (
    positions(
        "digits_positions",
        "digits, batch 512 (ours, small), position of the layer",
        "digits",
        DIGITS,
        DIGITS_POSITIONS,
        part="Fig. 6 in small",
        seeds=SEEDS,
    ),
    weights(
        "digits_weights",
        "digits, batch 512 (ours, small), weight of the penalty",
        "digits",
        DIGITS,
        part="Fig. 7 in small",
        seeds=SEEDS,
    ),
)
MNIST_BATCH = Comparison(
    "mnist_batch_4096",
    "MNIST, batch 4096 (ours, small network)",
    "mnist",
    MNIST,
    ARMS,
    extra_arms=all_arms(),
    part="Figs. 2-5 in small",
    seeds=3,
)
SMALL = (*DIGITS_BATCHES, *DIGITS_OTHERS, *DIGITS_MOMENTA, MNIST_BATCH)
