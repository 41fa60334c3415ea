"""What the growing kernels do to batch normalization's moving statistics."""

import dataclasses
import itertools
import warnings

import keras
import numpy as np

from keras_lbreg.training.data import for_fit
from keras_lbreg.training.run import Run
from recipes.yuan_2020.arms import dreg_arm
from recipes.yuan_2020.growth import growth_factor, lagging_variance
from recipes.yuan_2020.small import DIGITS, SEEDS

# Weight, batch size and epochs: runs of `digits_weights`, `digits_batch_256`.
CASES = ((0.01, 512, 40), (0.1, 256, 40), (1.0, 512, 40))

# Passes in which the moving statistics forget: 0.9 ** 100 is 3e-5.
PASSES = 100


def measure(settings, on_progress):
    """Train, validate, let the statistics catch up, and validate again.

    Args:
        settings: A dictionary with `seeds`, a number or None.
        on_progress: Called with the number of runs done and of all.

    Returns:
        Plain data: what `compare_statistics` returned, under `"runs"`.

    Reference: `Measurement`.
    """
    seeds = range(settings["seeds"] or SEEDS)
    total = len(CASES) * len(seeds)
    runs = []
    for case in CASES:
        for seed in seeds:
            runs.append(compare_statistics(*case, seed))
            on_progress(len(runs), total)
    return {"passes": PASSES, "runs": runs}


def compare_statistics(weight, batch_size, epochs, seed):
    """Accuracy of one run with the moving and with true statistics.

    Args:
        weight: λ of the published penalty.
        batch_size: Batch size.
        epochs: Epochs.
        seed: Seed of the run.

    Returns:
        A dictionary of plain data: `accuracy`, the validation accuracy of the
        right path after training, `accuracy_afterwards`, the same with
        statistics that had time to catch up while the weights stood still,
        `ratio`, the median over channels of the moving variance by the true
        one behind the doubled layer, and `predicted`, the same of
        `lagging_variance`.

    Reference: `lagging_variance`.
    """
    recipe = dataclasses.replace(
        DIGITS, name="yuan_2020/lagging", epochs=epochs
    )
    workload = recipe.workload("digits")
    run = Run(workload, dreg_arm(weight=weight), seed, batch_size)
    model = run.build()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The two kernels of DReg layer")
        model.fit(
            # Without the callback that chooses the better path.
            for_fit(run),
            steps_per_epoch=run.plan.steps_per_epoch,
            epochs=epochs,
            shuffle=False,
            verbose=0,
        )
        moving = variance(model)
        before = accuracy(model, workload)
        data = run.facts.train.batches(run)
        # The weights stand still now, and the statistics move.
        for x, _ in itertools.islice(data, PASSES):
            model(x, training=True)
        after = accuracy(model, workload)
    factor = growth_factor(weight, DIGITS.learning_rate, DIGITS.momentum)
    return {
        "weight": weight,
        "batch_size": batch_size,
        "seed": seed,
        "accuracy": before,
        "accuracy_afterwards": after,
        "ratio": float(np.median(moving / variance(model))),
        "predicted": lagging_variance(factor, DIGITS.norm_momentum),
    }


def variance(model):
    """Moving variance of the right path behind the doubled layer."""
    norm = model.get_layer("norm_3")
    _, variance = norm.right_statistics
    return keras.ops.convert_to_numpy(variance).astype("float64")


def accuracy(model, workload):
    """Validation accuracy of the active path, the right one."""
    logs = model.evaluate(
        *workload.validation_data,
        batch_size=256,
        verbose=0,
        return_dict=True,
    )
    return float(logs["accuracy"])
