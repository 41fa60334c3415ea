"""Table of the learning rates with which the paper's form stays finite."""

from recipes.yuan_2020.configuration import BATCH_SIZES, USUAL_BATCH_SIZE, VGG16
from recipes.yuan_2020.growth import largest_rate
from recipes.yuan_2020.tables import markdown

TRAINING_SAMPLES = 50_000
BATCHES_SHOWN = (BATCH_SIZES[0], USUAL_BATCH_SIZE, BATCH_SIZES[-1])
CASES = ((0.1, 0.9), (0.01, 0.9), (1.0, 0.9), (0.1, 0.0))

# A hundredth of the norm of VGG16's last convolution at the start:
# sqrt(3 * 3 * 512 * 512 * 2 / (3 * 3 * 512)) = 32.
FIRST_DISTANCE = 0.32


def survival(study):
    """Largest learning rate by λ, momentum and batch, over all epochs."""
    epochs = VGG16.epochs
    steps = [epochs * (TRAINING_SAMPLES // size) for size in BATCHES_SHOWN]
    rows = [
        [
            f"{weight:g}",
            f"{momentum:g}",
            *(
                f"{largest_rate(count, FIRST_DISTANCE, weight, momentum):.2g}"
                for count in steps
            ),
        ]
        for weight, momentum in CASES
    ]
    header = [
        f"batch {size} ({count:,} steps)"
        for size, count in zip(BATCHES_SHOWN, steps, strict=True)
    ]
    return markdown(["λ", "momentum", *header], rows)
