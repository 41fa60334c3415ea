"""Diagnostics of model files as records, computed once."""

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from keras_lbreg.analysis.gradient_noise_scale import gradient_noise_scale
from keras_lbreg.analysis.hessian_top_eigenvalue import hessian_top_eigenvalue
from keras_lbreg.analysis.interpolate import interpolate
from keras_lbreg.analysis.sharpness import sharpness
from keras_lbreg.experiments.environment import environment


@dataclasses.dataclass(frozen=True)
class Job:
    """One result to be had.

    Args:
        title: What to show while it is computed.
        models: The `ModelFile`s, one or two.
        samples: The `Samples`.
        settings: The settings, as plain data.
        measure: `measure(on_progress)` returns the result as plain data.
        total: Number of steps that `on_progress` counts to, if it is known.

    Example:

    >>> jobs = sharpness_jobs(models, samples, epsilons=[1e-3])

    Reference: `run_job`.
    """

    title: str
    models: tuple
    samples: object
    settings: dict
    measure: Callable
    total: int | None = None

    def record(self):
        """The record without its result."""
        return {
            "models": [model.description for model in self.models],
            "data": self.samples.description,
            "settings": self.settings,
        }


def run_job(job, book, on_progress):
    """The record of a job, from the book or computed and put into it.

    Args:
        job: The `Job`.
        book: The `RecordBook`.
        on_progress: Called with the number of steps so far.

    Returns:
        The pair of the record and whether it was there before.

    Example:

    >>> record, found = run_job(job, book, print)

    Reference: `RecordBook`.
    """
    record = job.record()
    found = book.find(record)
    if found is not None:
        # The file may have been renamed since.
        return {**found, "models": record["models"]}, True
    start = time.perf_counter()
    try:
        record["result"] = job.measure(on_progress)
    except (ValueError, RuntimeError) as error:
        names = " and ".join(str(model.path) for model in job.models)
        kind = ValueError if isinstance(error, ValueError) else RuntimeError
        raise kind(f"{names}: {error}") from error
    record["seconds"] = time.perf_counter() - start
    record["environment"] = environment()
    book.add(record)
    return record, False


def fit_of(model, samples):
    """Loss and accuracy of a `ModelFile` on the samples."""
    outputs = model.model.predict(samples.x, batch_size=1000, verbose=0)
    right = np.argmax(outputs, axis=1) == samples.y
    return {
        "loss": float(model.loss(samples.y, outputs)),
        "accuracy": float(np.mean(right)),
    }


def plain(result, *left_out):
    """A result as JSON takes it: infinity is null."""
    return {
        name: None if value == float("inf") else value
        for name, value in vars(result).items()
        if name not in left_out
    }


def sharpness_jobs(models, samples, epsilons, subspace, iterations, seed):
    """A job for every model and every ε."""

    def job(model, epsilon):
        settings = {
            "epsilon": epsilon,
            "subspace": subspace,
            "iterations": iterations,
            "seed": seed,
        }

        def measure(on_progress):
            found = sharpness(
                model.model,
                samples.x,
                samples.y,
                model.loss,
                on_progress=on_progress,
                **settings,
            )
            return {**fit_of(model, samples), **plain(found)}

        title = f"{model.name}, ε = {epsilon:g}"
        return Job(title, (model,), samples, settings, measure)

    return [job(model, epsilon) for epsilon in epsilons for model in models]


def hessian_jobs(models, samples, tolerance, max_iterations, seed):
    """A job for every model."""
    settings = {
        "tolerance": tolerance,
        "max_iterations": max_iterations,
        "seed": seed,
    }

    def job(model):
        def measure(on_progress):
            found = hessian_top_eigenvalue(
                model.model,
                samples.x,
                samples.y,
                model.loss,
                on_progress=on_progress,
                **settings,
            )
            return {**fit_of(model, samples), **plain(found, "eigenvector")}

        return Job(model.name, (model,), samples, settings, measure)

    return [job(model) for model in models]


def noise_scale_jobs(
    models, samples, small_batch, big_batch, pairs, seed, statistics
):
    """A job for every model."""
    settings = {
        "small_batch": small_batch,
        "big_batch": big_batch,
        "pairs": pairs,
        "seed": seed,
        "statistics": statistics,
    }

    def job(model):
        def measure(on_progress):
            found = gradient_noise_scale(
                model.model,
                samples.x,
                samples.y,
                model.loss,
                on_progress=on_progress,
                **settings,
            )
            return {**fit_of(model, samples), **plain(found)}

        return Job(model.name, (model,), samples, settings, measure, pairs)

    return [job(model) for model in models]


def interpolation_job(models, samples, others, positions, statistics):
    """The job of the line through two models.

    Args:
        models: Two `ModelFile`s.
        samples: Training `Samples`.
        others: Validation `Samples`.
        positions: List of the values of a.
        statistics: `"interpolate"` or `"estimate"`.

    Returns:
        A list of one `Job`.
    """
    first, second = models
    settings = {
        "positions": positions,
        "statistics": statistics,
        "validation": others.description,
    }

    def measure(on_progress):
        line = interpolate(
            first.model,
            second.model,
            {"train": (samples.x, samples.y), "val": (others.x, others.y)},
            positions,
            statistics,
            samples.x,
            first.loss,
            on_progress=on_progress,
        )
        return {
            "positions": positions,
            "loss": {k: finite(v) for k, v in line.loss.items()},
            "accuracy": {k: finite(v) for k, v in line.accuracy.items()},
        }

    title = f"{first.name} to {second.name}"
    total = len(positions)
    return [Job(title, models, samples, settings, measure, total)]


def finite(values):
    return [float(v) if np.isfinite(v) else None for v in values]
