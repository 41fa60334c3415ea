"""Random numbers as a function of (seed, step, index), without a state.

Every replica, every worker and a resumed run compute the same ones. `xp` is the
module that computes: `keras.ops`, or `numpy` in input pipelines.
"""

import functools
import math
import random
from numbers import Integral

import keras
import numpy as np

from keras_lbreg.checks import invalid, is_number

tf = None
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_ROUNDS = 20
# A seed has to fit the int32 variable in which JAX stores it.
_SEED_LIMIT = 2**31
_NORMAL_STREAM = 2


def resolve_seed(seed):
    """`seed` as an integer, or a fresh random one if it is None."""
    if seed is None:
        # As the default seeds of Keras: `set_random_seed` makes it repeatable.
        return random.randrange(_SEED_LIMIT)
    if not (is_number(seed, Integral) and 0 <= seed < _SEED_LIMIT):
        raise invalid("seed", "None or an integer from 0 to 2**31 - 1", seed)
    return int(seed)


def threefry2x32(key, counter, xp=keras.ops):
    """Encrypts pairs of `uint32` counters under a key of two `uint32`.

    Threefry (Salmon et al. 2011) needs only addition, exclusive or and
    rotation, so that NumPy, TensorFlow and JAX agree bit for bit. It takes some
    hundred small operations: right for a handful of weights, wrong for whole
    gradients (see `normal`).
    """
    k0, k1 = key
    k2 = xp.bitwise_xor(xp.bitwise_xor(k0, k1), np.uint32(_PARITY))
    schedule = (k0, k1, k2)
    x0, x1 = xp.add(counter[0], k0), xp.add(counter[1], k1)
    for block in range(_ROUNDS // 4):
        for distance in _ROTATIONS[block % 2]:
            x0 = xp.add(x0, x1)
            rotated = xp.bitwise_or(
                xp.left_shift(x1, np.uint32(distance)),
                xp.right_shift(x1, np.uint32(32 - distance)),
            )
            x1 = xp.bitwise_xor(rotated, x0)
        x0 = xp.add(x0, schedule[(block + 1) % 3])
        x1 = xp.add(x1, schedule[(block + 2) % 3])
        x1 = xp.add(x1, np.uint32(block + 1))
    return x0, x1


def make_key(seed, step, xp=keras.ops):
    """The key of one optimizer update, a pair of `uint32` of shape `(1,)`."""
    return tuple(
        xp.reshape(cast(word, "uint32", xp), (1,)) for word in (seed, step)
    )


def counters(indices, stream):
    """The counters `(index, stream)`; each use of a key has its own stream."""
    indices = np.array(indices, dtype="uint32")
    return indices, np.full(indices.shape, stream, dtype="uint32")


def cast(x, dtype, xp=keras.ops):
    """`keras.ops.cast`, which NumPy spells differently."""
    if xp is np:
        return np.asarray(x).astype(dtype)
    return keras.ops.cast(x, dtype)


def uniform(bits, xp=keras.ops):
    """`(bits + 1/2) / 2**32` in float32: in (0, 1], with a finite log."""
    scale, half_step = np.float32(2.0**-32), np.float32(2.0**-33)
    return xp.add(xp.multiply(cast(bits, "float32", xp), scale), half_step)


def box_muller(u, v, xp=keras.ops):
    """`sqrt(-2 log u) cos(2 pi v)` and the same with the sine: two normals."""
    radius = xp.sqrt(np.float32(-2.0) * xp.log(u))
    angle = np.float32(2.0 * math.pi) * v
    return radius * xp.cos(angle), radius * xp.sin(angle)


def normal_keys(seed, step, indices):
    """A key of `normal` for each variable, by its index, at one update.

    One Threefry encrypts all: the cost in operations does not grow with them.
    """
    words = threefry2x32(
        make_key(seed, step), counters(indices, _NORMAL_STREAM)
    )
    return keras.ops.unstack(keras.ops.stack(words, 1), len(indices))


def normal(shape, key):
    """Standard normal noise of a shape in float32, a function of `key` alone.

    A generator of the backend is used, and named, so that all replicas and
    XLA-compiled code draw the same numbers; those of the two backends differ.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _philox_normal(shape, key)
    if backend == "jax":
        import jax

        key = jax.random.wrap_key_data(key, impl="threefry2x32")
        return jax.random.normal(key, shape, dtype="float32")
    raise RuntimeError(
        "Gradient noise needs a stateless generator with a named algorithm, "
        "which is known for the TensorFlow and the JAX backend. "
        f"Received: backend={backend}"
    )


def normals(shapes, keys):
    """Yields `normal` noise for several variables, one after the other.

    In a TensorFlow graph, the draws of one size call one function, which holds
    the operations once: a step of many variables on many replicas is built and
    started several times faster for it.
    """
    draw = normal
    if tf is not None and tf.inside_function():
        functions = functools.cache(_philox_function)

        def draw(shape, key):
            return keras.ops.reshape(functions(math.prod(shape))(key), shape)

    for shape, key in zip(shapes, keys, strict=True):
        yield draw(tuple(shape), key)


def _philox_function(size):
    return tf.function(
        functools.partial(_philox_normal, (size,)),
        input_signature=[tf.TensorSpec((2,), tf.uint32)],
        autograph=False,
        # TensorFlow would copy the operations back to where they are called.
        experimental_attributes={"_noinline": True},
    )


def _philox_normal(shape, key):
    # Not `stateless_normal`: XLA turns the same bits into other normal numbers
    # than graph mode does.
    size = math.prod(shape)
    bits = tf.random.stateless_uniform(
        (2, (size + 1) // 2),
        seed=tf.bitcast(key, tf.int32),
        minval=None,
        maxval=None,
        dtype=tf.uint32,
        alg="philox",
    )
    pairs = box_muller(*tf.unstack(uniform(bits)))
    return tf.reshape(tf.concat(pairs, axis=0)[:size], shape)
