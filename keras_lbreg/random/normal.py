"""Normal noise for whole variables, the same on every replica."""

import math

import keras
import numpy as np

from keras_lbreg.random.bits_to_floats import box_muller, uniform
from keras_lbreg.random.threefry import make_key, threefry2x32

_STREAM = 2


def normal(shape, seed, step, index):
    """Draws standard normal noise as a function of `(seed, step, index)`.

    The key `(seed, step)` encrypts the counter `(index, 2)` with Threefry; the
    result seeds a named generator of the backend:

    - TensorFlow: `stateless_uniform(alg="philox")` gives the bits and
      Box-Muller the numbers. `stateless_normal` is not used: XLA turns the same
      bits into other normal numbers than graph mode does.
    - JAX: `jax.random.normal` with a `"threefry2x32"` key.

    The two backends draw different numbers of the same law.

    Args:
        shape: Tuple of integers.
        seed: Non-negative integer below 2**31, or an integer tensor.
        step: Number of completed updates, an integer or an integer tensor.
        index: Integer that tells the variables of one update apart.

    Returns:
        `float32` tensor of the given shape.

    Raises:
        RuntimeError: If the Keras backend is neither TensorFlow nor JAX.

    Example:

    >>> normal((2, 3), seed=1, step=0, index=0)

    Reference:

    - [Salmon et al., 2011](https://doi.org/10.1145/2063384.2063405)
    """
    counter = (
        np.array([index], dtype="uint32"),
        np.array([_STREAM], dtype="uint32"),
    )
    words = threefry2x32(make_key(seed, step), counter)
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _philox_normal(shape, keras.ops.concatenate(words))
    if backend == "jax":
        import jax

        key = jax.random.wrap_key_data(
            keras.ops.concatenate(words), impl="threefry2x32"
        )
        return jax.random.normal(key, shape, dtype="float32")
    raise RuntimeError(
        "Gradient noise needs a stateless generator with a named algorithm, "
        "which is known for the TensorFlow and the JAX backend. "
        f"Received: backend={backend}"
    )


def _philox_normal(shape, words):
    import tensorflow as tf

    size = math.prod(shape)
    bits = tf.random.stateless_uniform(
        (2, size),
        seed=tf.bitcast(words, tf.int32),
        minval=None,
        maxval=None,
        dtype=tf.uint32,
        alg="philox",
    )
    return tf.reshape(box_muller(uniform(bits[0]), uniform(bits[1])), shape)
