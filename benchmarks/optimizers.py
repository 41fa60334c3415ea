"""Gradient noise and mixing: an update alone, and a step of several replicas.

Noise costs by the weights and mixing by the replicas, and neither by the batch.
"""

import functools

from benchmarks.harness import Case, Step
from benchmarks.training import training_step

WEIGHTS = (100_000, 1_000_000, 5_000_000, 25_000_000)
REPLICAS = (2, 4, 8)


def cases(backend, quick):
    made = [
        update_case(name, weights)
        for weights in ((10_000,) if quick else WEIGHTS)
        for name in ("SGD", "Adam")
    ]
    if backend == "tensorflow":
        made += [
            replicas_case(replicas, 64 if quick else 1024)
            for replicas in (REPLICAS[:1] if quick else REPLICAS)
        ]
    return made


def update_case(inner, weights):
    variants = {
        name: functools.partial(update, name, inner, weights)
        for name in ("plain", "ReducedGradient", "GradientNoise")
    }
    if inner == "SGD":
        variants["LARS"] = functools.partial(update, "LARS", inner, weights)
    settings = {"optimizer": inner, "weights": weights}
    return Case(f"{inner} {weights} weights", variants, settings)


def update(name, inner, weights):
    """An update of `weights` weights in eight kernels and their biases."""
    import keras

    import keras_lbreg as lbreg

    make_inner = {
        "SGD": functools.partial(keras.optimizers.SGD, 0.01, momentum=0.9),
        "Adam": functools.partial(keras.optimizers.Adam, 1e-3),
    }[inner]
    optimizer = {
        "plain": lambda inner: inner,
        "ReducedGradient": lbreg.ReducedGradient,
        "GradientNoise": functools.partial(lbreg.GradientNoise, seed=1),
        "LARS": lambda inner: lbreg.LARS(0.01, momentum=0.9),
    }[name](make_inner())
    width = round((weights / 8) ** 0.5)
    shapes = 8 * [(width, width), (width,)]
    variables = [
        keras.Variable(keras.random.normal(shape, seed=0)) for shape in shapes
    ]
    gradients = [
        keras.random.normal(shape, stddev=1e-3, seed=1) for shape in shapes
    ]
    optimizer.build(variables)
    if keras.backend.backend() == "jax":
        return Step(jax_update(optimizer, variables, gradients))
    import tensorflow as tf

    @tf.function
    def step(gradients):
        optimizer.apply(gradients, variables)
        return variables[-1][0]

    return Step(lambda: step(gradients).numpy())


def jax_update(optimizer, variables, gradients):
    import jax

    # Donated, as in Keras's trainer.
    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(values, states, gradients):
        return optimizer.stateless_apply(states, gradients, values)

    # Copies: what is donated is gone.
    present = [
        [jax.numpy.copy(v.value) for v in group]
        for group in (variables, optimizer.variables)
    ]

    def run():
        present[:] = step(*present, gradients)
        jax.block_until_ready(present)

    return run


def replicas_case(replicas, batch_size):
    noise, mix = {"gradient_noise": {}}, {"gradient_mix": {"groups": replicas}}
    settings = {
        "plain": {},
        "gradient_noise": noise,
        "gradient_mix": mix,
        "noise and mix": noise | mix,
        "ghost_batch_norm": {
            "ghost_batch_norm": {
                "ghost_batch_size": batch_size // replicas // 2
            }
        },
        "dreg": {"dreg": {"layer": "dense_5"}},
    }
    variants = {
        name: functools.partial(
            training_step, "F1", batch_size, techniques, replicas
        )
        for name, techniques in settings.items()
    }
    return Case(
        f"F1 batch {batch_size} on {replicas} replicas",
        variants,
        {"network": "F1", "batch_size": batch_size, "replicas": replicas},
        devices=replicas,
    )
