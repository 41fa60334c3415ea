"""Whole training steps, plain, with each technique and with all."""

import functools
import itertools

import numpy as np

from benchmarks.harness import Case, Step
from benchmarks.training import training_step

TECHNIQUES = {
    "ghost_batch_norm": {"ghost_batch_norm": {}},
    "gradient_noise": {"gradient_noise": {}},
    "gradient_mix": {"gradient_mix": {}},
    "dreg": {"dreg": {}},
}
# The widths of F1.
WIDTHS = (784, 512, 512, 512, 512, 512, 10)


def cases(backend, quick):
    if quick:
        return [network_case("F1", 64, ("plain", "all", "matrix products"))]
    sizes = [("F1", 4096), ("ResNet18", 1024), ("F1", 512), ("ResNet18", 128)]
    return [network_case(*size) for size in sizes]


def network_case(network, batch_size, only=None):
    settings = {
        "plain": {},
        **TECHNIQUES,
        "all but dreg": {},
        "all": {},
    }
    for name, techniques in TECHNIQUES.items():
        settings["all"] = settings["all"] | techniques
        if name != "dreg":
            settings["all but dreg"] = settings["all but dreg"] | techniques
    variants = {
        name: functools.partial(training_step, network, batch_size, techniques)
        for name, techniques in settings.items()
    }
    if network == "F1":
        variants["matrix products"] = functools.partial(
            matrix_products, batch_size
        )
    if only:
        variants = {name: variants[name] for name in only}
    about = {"network": network, "batch_size": batch_size}
    name = f"{network} batch {batch_size}"
    # A step of ResNet18 takes half a minute on two cores.
    slow = {"warm_up": 1, "rounds": (3, 25)}
    return Case(name, variants, about, memory=True, **slow)


def matrix_products(batch_size):
    """The matrix products of a step of F1 alone, which bound it."""
    import keras

    random = np.random.default_rng(0)

    def arrays(shapes):
        return [
            keras.ops.convert_to_tensor(random.standard_normal(s, "float32"))
            for s in shapes
        ]

    shapes = list(itertools.pairwise(WIDTHS))
    tensors = (
        arrays(shapes),
        arrays((batch_size, a) for a, _ in shapes),
        arrays((batch_size, b) for _, b in shapes),
    )

    def products(kernels, inputs, gradients):
        results = []
        for w, x, dy in zip(kernels, inputs, gradients, strict=True):
            results += [x @ w, keras.ops.transpose(x) @ dy]
            if w is not kernels[0]:
                results.append(dy @ keras.ops.transpose(w))
        return results

    if keras.backend.backend() == "jax":
        import jax

        compiled = jax.jit(products)
        return Step(lambda: jax.block_until_ready(compiled(*tensors)))
    import tensorflow as tf

    compiled = tf.function(products)
    return Step(lambda: compiled(*tensors)[-1].numpy())
