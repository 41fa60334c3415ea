"""How far the two kernels of DReg run in real training, step by step."""

import dataclasses
import math
import warnings

import keras
import numpy as np

from keras_lbreg.training.run import Run
from recipes.yuan_2020.arms import dreg_arm
from recipes.yuan_2020.small import DIGITS

BATCH_SIZE = 128
STEPS = 1300
SEEDS = 3


@dataclasses.dataclass(frozen=True)
class Setting:
    """A penalty and an optimizer.

    Args:
        distance: `"frobenius"`, or `"relative"`, the bare ratio of ‖D‖² and
            ‖W_R‖² + ‖W_L‖²: the bounded distance with λ / n_0.
        max_distance: The cap, or None.
        weight: λ.
        learning_rate: η.
        momentum: m.

    Reference: `keras_lbreg.DRegConv2D` describes the penalties.
    """

    distance: str
    max_distance: float | None
    weight: float
    learning_rate: float
    momentum: float

    @property
    def name(self):
        cap = "" if self.max_distance is None else f"_cap_{self.max_distance:g}"
        return (
            f"{self.distance}{cap}_weight_{self.weight:g}"
            f"_rate_{self.learning_rate:g}_momentum_{self.momentum:g}"
        )

    @property
    def is_ratio(self):
        return self.distance == "relative"

    def run(self, seed):
        """The `Run` of the digits network."""
        arm = dreg_arm(
            weight=self.weight,
            distance="bounded" if self.is_ratio else self.distance,
            max_distance=self.max_distance,
        )
        recipe = dataclasses.replace(
            DIGITS,
            name="yuan_2020/stability",
            learning_rate=self.learning_rate,
            momentum=self.momentum,
        )
        return Run(recipe.workload("digits"), arm, seed, BATCH_SIZE)


SETTINGS = (
    *(
        Setting(distance, cap, 0.1, 0.1, momentum)
        for momentum in (0.0, 0.9)
        for distance, cap in (
            ("frobenius", None),
            ("frobenius", 8.0),
            ("frobenius", 1.0),
            ("relative", None),
        )
    ),
    Setting("frobenius", None, 0.01, 0.1, 0.9),
    Setting("frobenius", None, 0.1, 0.02, 0.9),
    Setting("frobenius", None, 0.1, 0.001, 0.9),
    Setting("relative", None, 1.0, 0.1, 0.9),
)


def measure(settings, on_progress):
    """Train every setting with every seed and write down the distances.

    Args:
        settings: A dictionary with `seeds`, a number or None.
        on_progress: Called with the number of runs done and of all.

    Returns:
        Plain data: a list of `trace`s under `"runs"`, and the steps.

    Reference: `Measurement`.
    """
    seeds = range(settings["seeds"] or SEEDS)
    total = len(SETTINGS) * len(seeds)
    runs = []
    for setting in SETTINGS:
        for seed in seeds:
            runs.append(trace(setting, seed, STEPS))
            on_progress(len(runs), total)
    return {"batch_size": BATCH_SIZE, "steps": STEPS, "runs": runs}


def trace(setting, seed, steps):
    """Train one setting, step by step, until the loss is not finite.

    Args:
        setting: A `Setting`.
        seed: Seed of the run.
        steps: Steps at most.

    Returns:
        A dictionary of plain data. `step` has the numbers of the steps that
        were kept, `distance` ‖W_R − W_L‖ after each, in float64, and
        `accuracy` the training accuracy of the batch. `size` is
        ‖W_R‖² + ‖W_L‖² at the start. `exploded` is the step whose loss or
        kernels were the first that were not finite, or None.

    Reference: the distances at `predicted_distances`.
    """
    run = setting.run(seed)
    model = run.build()
    model.steps_per_execution = 1
    layer = model.get_layer(DIGITS.dreg_layer)
    size = sum(np.sum(kernel**2) for kernel in kernels(layer))
    if setting.is_ratio:
        layer.weight = setting.weight / float(size)
    kept = [(0, distance(layer), 0.0)]
    exploded = None
    with warnings.catch_warnings():
        # That the kernels run away is what is measured here.
        warnings.filterwarnings("ignore", "The two kernels of DReg layer")
        batches = run.facts.train.batches(run)
        for step, (x, y) in zip(range(1, steps + 1), batches, strict=False):
            model.reset_metrics()
            logs = model.train_on_batch(x, y, return_dict=True)
            now = distance(layer)
            if not (math.isfinite(logs["loss"]) and math.isfinite(now)):
                exploded = step
                break
            if is_kept(step):
                kept.append((step, now, float(logs["accuracy"])))
    numbers, distances, accuracies = zip(*kept, strict=True)
    return {
        **dataclasses.asdict(setting),
        "name": setting.name,
        "seed": seed,
        "size": rounded(size),
        "exploded": exploded,
        "step": list(numbers),
        "distance": [rounded(d) for d in distances],
        "accuracy": [round(a, 4) for a in accuracies],
    }


def kernels(layer):
    """W_R and W_L in float64, whose squares do not overflow."""
    return [
        keras.ops.convert_to_numpy(kernel).astype("float64")
        for kernel in (layer.kernel, layer.kernel_left)
    ]


def distance(layer):
    right, left = kernels(layer)
    return float(np.linalg.norm(right - left))


def is_kept(step):
    """All of the first steps, then every tenth: enough for a log axis."""
    return step <= 20 or step % 10 == 0


def rounded(number):
    return float(f"{number:.5g}")
