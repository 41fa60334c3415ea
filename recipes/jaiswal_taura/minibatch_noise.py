"""The noise of minibatch gradients, as training sees it."""

import keras
import numpy as np


def minibatch_noise(model, x, y, batch, batches=24, seed=0):
    """The expected squared distance of a batch's gradient from the mean one.

    ```
    noise  = E|g_B - E g_B|^2 = (sum |g_i|^2 - |sum g_i|^2 / m) / (m - 1)
    signal = |E g_B|^2        = |sum g_i / m|^2 - noise / m
    ```

    over m batches, those of one pass being drawn without replacement, as in
    training. The model is in training mode: batch normalization takes the
    statistics of the batch and passes gradients through them.
    `keras_lbreg.analysis.gradient_noise_scale` keeps the moving statistics,
    which lag behind where the learning rate is large, and leaves out what the
    statistics add to the noise.

    Args:
        model: A compiled `keras.Model`.
        x: Training inputs.
        y: Targets.
        batch: B.
        batches: m, at least 2.
        seed: Seed of the drawing.

    Returns:
        The pair `(noise, signal)`; the second may come out negative where it
        is small beside the first.

    Raises:
        ValueError: There are fewer samples than the batch has.

    Reference: McCandlish et al. 2018, https://arxiv.org/abs/1812.06162
    """
    if batch > len(x):
        raise ValueError(
            "Invalid value for argument `batch`. Expected at most the number "
            f"of samples, {len(x)}. Received: batch={batch}"
        )
    function = keras.losses.get(model.loss)
    frozen = [np.asarray(v) for v in model.non_trainable_variables]
    point = [np.asarray(v) for v in model.trainable_variables]

    def batch_loss(point, frozen, x, y):
        predicted, _ = model.stateless_call(point, frozen, x, training=True)
        return keras.ops.mean(function(y, predicted))

    gradient_of = compiled_gradient(batch_loss)
    total, squares = 0.0, 0.0
    for part in draw(len(x), batch, batches, seed):
        gradient = gradient_of(point, frozen, x[part], y[part])
        flat = np.concatenate(
            [np.asarray(g, "float64").ravel() for g in gradient]
        )
        total = total + flat
        squares += flat @ flat
    noise = (squares - total @ total / batches) / (batches - 1)
    signal = total @ total / batches**2 - noise / batches
    return float(noise), float(signal)


def compiled_gradient(function):
    """The gradient of `function(point, frozen, x, y)` by `point`."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(jax.grad(function))
    import tensorflow as tf

    def gradient(point, frozen, x, y):
        with tf.GradientTape() as tape:
            tape.watch(point)
            value = function(point, frozen, x, y)
        return tape.gradient(
            value, point, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )

    graph = tf.function(gradient, reduce_retracing=True)

    def compiled(*arguments):
        return graph(*tf.nest.map_structure(tf.constant, arguments))

    return compiled


def draw(samples, batch, batches, seed):
    """Numbers of the samples of each batch, pass after pass."""
    generator = np.random.default_rng(seed)
    passes = samples // batch
    for number in range(batches):
        if number % passes == 0:
            order = generator.permutation(samples)
        first = number % passes * batch
        yield order[first : first + batch]
