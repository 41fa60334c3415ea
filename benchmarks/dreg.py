"""Distinctive regularization: a training step of C1, and its products.

Each layer in turn is doubled, with both paths and with half of the batch on
each. Beside it, the ratio of the counted convolutions and matrix products.
"""

import functools

from benchmarks.harness import Case
from benchmarks.training import training_step

LAYERS = ("conv_1", "conv_2", "dense_1", "dense_2", "logits")


def cases(backend, quick):
    return [
        make_case(batch) for batch in ((16,) if quick else (512, 128, 2048))
    ]


def make_case(batch_size):
    # Growth with the batch is that of one layer.
    layers = LAYERS if batch_size == 512 else ("conv_2",)
    settings = {"plain": {}} | {
        f"{paths} {layer}": {"dreg": {"layer": layer, "paths": paths}}
        for layer in layers
        for paths in ("both", "split")
    }
    variants = {
        name: functools.partial(training_step, "C1", batch_size, techniques)
        for name, techniques in settings.items()
    }
    about = {"network": "C1", "batch_size": batch_size}
    return Case(f"C1 batch {batch_size}", variants, about)
