"""Normal noise for whole variables, the same on every replica."""

import functools
import math

import keras
import numpy as np

from keras_lbreg.random.bits_to_floats import box_muller, uniform
from keras_lbreg.random.threefry import make_key, threefry2x32

_STREAM = 2


def normal_keys(seed, step, indices):
    """Derives one key for the noise of each variable at one update.

    The key `(seed, step)` encrypts the counters `(index, 2)` with Threefry, all
    at once: the cost in operations does not grow with the number of variables.

    Args:
        seed: Non-negative integer below 2**31, or an integer tensor.
        step: Number of completed updates, an integer or an integer tensor.
        indices: List of integers that tell the variables apart.

    Returns:
        List of `uint32` tensors of shape `(2,)`, keys for `normal`.

    Example:

    >>> first, second = normal_keys(seed=1, step=0, indices=[0, 1])

    Reference:

    - [Salmon et al., 2011](https://doi.org/10.1145/2063384.2063405)
    """
    counter = (
        np.array(indices, dtype="uint32"),
        np.full((len(indices),), _STREAM, dtype="uint32"),
    )
    words = keras.ops.stack(threefry2x32(make_key(seed, step), counter), 1)
    return keras.ops.unstack(words, len(indices))


def normal(shape, key):
    """Draws standard normal noise as a function of `key` alone.

    A generator of the backend is used, and named, so that all replicas and
    XLA-compiled code draw the same numbers:

    - TensorFlow: `stateless_uniform(alg="philox")` gives the bits and
      Box-Muller the numbers. `stateless_normal` is not used: XLA turns the same
      bits into other normal numbers than graph mode does.
    - JAX: `jax.random.normal` with a `"threefry2x32"` key.

    The two backends draw different numbers of the same law.

    Args:
        shape: Tuple of integers.
        key: `uint32` tensor of shape `(2,)`, from `normal_keys`.

    Returns:
        `float32` tensor of the given shape.

    Raises:
        RuntimeError: If the Keras backend is neither TensorFlow nor JAX.

    Example:

    >>> [key] = normal_keys(seed=1, step=0, indices=[0])
    >>> noise = normal((2, 3), key)

    Reference:

    - [Box and Muller, 1958](https://doi.org/10.1214/aoms/1177706645)
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
    """Draws `normal` noise for several variables, one after the other.

    In a TensorFlow graph, the draws of one size call one function, which holds
    the operations once: a step of many variables on many replicas is built and
    started several times faster for it.

    Args:
        shapes: List of tuples of integers.
        keys: List of keys, one for each shape.

    Yields:
        `float32` tensors of these shapes.

    Example:

    >>> keys = normal_keys(seed=1, step=0, indices=[0, 1])
    >>> first, second = normals([(2, 3), (3,)], keys)

    Reference: see `normal`.
    """
    draw = normal
    if _in_tensorflow_graph():
        functions = functools.cache(_philox_function)

        def draw(shape, key):
            return keras.ops.reshape(functions(math.prod(shape))(key), shape)

    for shape, key in zip(shapes, keys, strict=True):
        yield draw(tuple(shape), key)


def _in_tensorflow_graph():
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return tf.inside_function()


def _philox_function(size):
    import tensorflow as tf

    return tf.function(
        functools.partial(_philox_normal, (size,)),
        input_signature=[tf.TensorSpec((2,), tf.uint32)],
        autograph=False,
        # TensorFlow would copy the operations back to where they are called.
        experimental_attributes={"_noinline": True},
    )


def _philox_normal(shape, key):
    import tensorflow as tf

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
