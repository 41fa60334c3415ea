"""What each technique adds to a step on many devices, on paper.

`tests/test_benchmarks.py` counts what 2, 4 and 8 virtual devices reduce, and
products and draws in graphs. Philox is one operation there, so not counted.
"""

import math

from benchmarks.training import make_network, products

FLOAT_BYTES = 4
# Philox, a number: 10 rounds of four halves of products, four exclusive ors
# and two additions to the key make four numbers.
PHILOX = 25
# A normal of it, scaled and added to a gradient: to (0, 1] in 3, Box and
# Muller in 4, 2 more.
NORMAL = 9
# Threefry, two numbers: 20 rounds of an addition, a rotation of three and an
# exclusive or, and the key five times in three additions, and to begin with.
THREEFRY = 117


def ring(numbers, devices):
    """Bytes and messages that a device sends in a ring all-reduce."""
    sent = 2 * (devices - 1)
    return sent / devices * FLOAT_BYTES * numbers, sent


def mixing(groups):
    """Operations that draw the weights of a mix, on each device."""
    proposals = 8 * groups
    uniforms = 3 * proposals + groups
    # To (0, 1] in 3, a normal in 5, the test of a proposal in 26.
    return THREEFRY * uniforms / 2 + 3 * uniforms + 31 * proposals


def added(network, devices, samples, ghosts, layer):
    """By technique, the bytes, messages and operations of one device.

    First the plain step: its gradient's all-reduce and its products. `samples`
    are those of a device; DReg doubles `layer`.
    """
    import keras

    import keras_lbreg as lbreg

    model = make_network(network)
    doubled = lbreg.apply_dreg(model, layer)
    weights, twice = (
        sum(math.prod(v.shape) for v in x.trainable_variables)
        for x in (model, doubled)
    )
    norms = [
        x
        for x in model.layers
        if isinstance(x, keras.layers.BatchNormalization)
    ]
    features = sum(x.gamma.shape[0] for x in norms)
    work = products(model, samples)
    more = products(doubled, samples) - work + 6 * (twice - weights)
    # Mean and variance, there and back; an all-reduce for each direction.
    of_statistics, sent = ring(4 * features, devices)
    return {
        "plain step": (*ring(weights, devices), work),
        "batch normalization over all devices": (
            of_statistics,
            2 * len(norms) * sent,
            0,
        ),
        "ghost batch normalization": (
            0,
            0,
            4 * features * max(1, samples // ghosts),
        ),
        "gradient noise": (0, 0, weights * (PHILOX + NORMAL)),
        "GradientMix": (0, 0, weights + mixing(devices)),
        "DReg": (ring(twice - weights, devices)[0], 0, more),
    }
