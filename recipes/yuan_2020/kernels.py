"""What the two kernels of DReg do in real training, step by step."""

import dataclasses
import itertools
import math
import warnings

import keras
import numpy as np

from keras_lbreg.training import Run
from recipes.paper import Comparison
from recipes.yuan_2020.configuration import DIGITS, SCALE, dreg_arm
from recipes.yuan_2020.growth import growth_factor, lagging_variance

LAYER = "conv_3"
BATCH_SIZE = 128
STEPS = 1300


@dataclasses.dataclass(frozen=True)
class Setting:
    """A penalty and an optimizer."""

    # "frobenius", or "relative", the bare ratio of ‖D‖² and ‖W_R‖² + ‖W_L‖²:
    # the bounded distance with λ / n_0.
    distance: str
    # The cap.
    max_distance: float | None
    # λ, η and m.
    weight: float
    learning_rate: float
    momentum: float

    @property
    def label(self):
        """The setting in a few characters."""
        cap = self.max_distance
        cap = "" if cap is None else f", cap {cap:g}"
        return (
            f"{self.distance}{cap}, {self.weight:g}, "
            f"{self.learning_rate:g}, {self.momentum:g}"
        )

    @property
    def is_ratio(self):
        return self.distance == "relative"

    def run(self, seed, steps):
        """The `Run` of the digits network."""
        arm = dreg_arm(
            weight=self.weight,
            distance="bounded" if self.is_ratio else self.distance,
            max_distance=self.max_distance,
        )
        rates = {"learning_rate": self.learning_rate, "momentum": self.momentum}
        recipe = dataclasses.replace(DIGITS, **rates)
        # An epoch is 8 updates.
        epochs = math.ceil(steps / (1024 // BATCH_SIZE))
        workload = digits_comparison(recipe).workload(epochs)
        return Run(workload, arm, seed, BATCH_SIZE)


def digits_comparison(recipe=DIGITS):
    """A comparison of which only the workload is used."""
    return Comparison("kernels", "", "digits", recipe, ())


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


class Trace(keras.callbacks.Callback):
    """Records the kernels' distance by step until it is infinite.

    `kept` has the step, ‖W_R − W_L‖, the cosine of the two kernels and the
    training accuracy of the epoch so far; `exploded` is the first step whose
    loss or kernels were not finite, or `None`.
    """

    def __init__(self, steps):
        super().__init__()
        self.steps = steps
        self.kept = []
        self.exploded = None

    def on_train_begin(self, logs=None):
        self.layer = self.model.get_layer(LAYER)
        self.step = 0
        self.keep(0.0)

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        finite = math.isfinite(logs["loss"])
        # All of the first steps, then every tenth: enough for a log axis.
        if not finite or not math.isfinite(distance(self.layer)):
            self.exploded = self.step
            self.model.stop_training = True
        elif self.step <= 20 or self.step % 10 == 0:
            self.keep(logs["accuracy"])
        if self.step == self.steps:
            self.model.stop_training = True

    def keep(self, accuracy):
        right, left = kernels(self.layer)
        size = np.linalg.norm(right) * np.linalg.norm(left)
        row = (distance(self.layer), np.sum(right * left) / size, accuracy)
        self.kept.append((self.step, *(float(f"{x:.5g}") for x in row)))

    def content(self):
        columns = zip(*self.kept, strict=True)
        names = ("step", "distance", "cosine", "accuracy")
        found = dict(zip(names, map(list, columns), strict=True))
        return {"exploded": self.exploded, **found}


def kernels(layer):
    """W_R and W_L in float64, whose squares do not overflow."""
    return [
        keras.ops.convert_to_numpy(kernel).astype("float64")
        for kernel in (layer.kernel, layer.kernel_left)
    ]


def distance(layer):
    right, left = kernels(layer)
    return float(np.linalg.norm(right - left))


def trace(run, steps, change=None):
    """Trains a run step by step and returns what `Trace` recorded.

    `change` is called with the doubled layer and its `size`, ‖W_R‖² + ‖W_L‖²,
    before the first step.
    """
    model = run.build()
    model.steps_per_execution = 1
    layer = model.get_layer(LAYER)
    size = float(sum(np.sum(kernel**2) for kernel in kernels(layer)))
    if change is not None:
        change(layer, size)
    traced = Trace(steps)
    with warnings.catch_warnings():
        # That the kernels run away is what is measured here.
        warnings.filterwarnings("ignore", "The two kernels of DReg layer")
        run.fit(model, callbacks=[traced], final_only=True)
    return {"seed": run.seed, "size": float(f"{size:.5g}"), **traced.content()}


def trace_setting(setting, seed, steps=STEPS):
    """The trace of a `Setting` on the digits."""

    def change(layer, size):
        if setting.is_ratio:
            layer.weight = setting.weight / size

    found = trace(setting.run(seed, steps), steps, change)
    return {"setting": setting.label, **found}


def measure_stability(progress, seeds=None, data_dir=None):
    """The distance of the two kernels for every setting and seed."""
    pairs = itertools.product(SETTINGS, range(seeds or 3))
    runs = [trace_setting(*pair) for pair in progress(pairs)]
    return {"batch_size": BATCH_SIZE, "steps": STEPS, "runs": runs}


def measure_scale(progress, seeds=None, data_dir=None):
    """Distance and cosine by step, of the DReg arms at scale."""
    workload = SCALE.workload(data_dir=data_dir)
    arms = [a for a in SCALE.arms if "dreg" in getattr(a, "techniques", ())]
    runs = []
    for arm, seed in progress(itertools.product(arms, range(seeds or 1))):
        run = Run(workload, arm, seed)
        found = trace(run, run.plan.updates)
        runs.append({"arm": arm.name, "title": arm.title, **found})
    return {"comparison": SCALE.name, "runs": runs}


# Weight, batch size and epochs of runs of `digits_weights`, `digits_batch_256`.
LAGGING = ((0.01, 512, 40), (0.1, 256, 40), (1.0, 512, 40))


def measure_lagging(progress, seeds=None, data_dir=None):
    """What growing kernels do to batch normalization's moving statistics.

    `accuracy` is the validation accuracy with the moving statistics,
    `accuracy_afterwards` that with statistics estimated anew, `ratio` the
    median over channels of the moving variance by the true one behind the
    doubled layer, and `predicted` the same of `lagging_variance`.
    """
    pairs = itertools.product(LAGGING, range(seeds or 5))
    return {"runs": [lagging(*case, seed) for case, seed in progress(pairs)]}


def lagging(weight, batch_size, epochs, seed):
    """The measurement of one run."""
    run = Run(
        digits_comparison().workload(epochs),
        dreg_arm(weight=weight),
        seed,
        batch_size,
    )
    model = run.build()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The two kernels of DReg layer")
        records = run.fit(model)
    logs = records[-1].logs
    norm = model.get_layer("norm_3")
    statistics = getattr(norm, f"{model.active_path}_statistics")
    moving = keras.ops.convert_to_numpy(statistics[1])
    true = run.export(model).get_layer("norm_3").moving_variance
    ratio = moving / keras.ops.convert_to_numpy(true)
    factor = growth_factor(weight, DIGITS.learning_rate, DIGITS.momentum)
    return {
        "weight": weight,
        "batch_size": batch_size,
        "seed": seed,
        "accuracy": logs["moving_val_accuracy"],
        "accuracy_afterwards": logs["val_accuracy"],
        "ratio": float(np.median(ratio)),
        "predicted": lagging_variance(factor, DIGITS.norm[0]),
    }
