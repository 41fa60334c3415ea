"""Training one small model on none or several virtual replicas."""

import contextlib

import keras
import numpy as np

SAMPLES = 64
BATCH = 16


def regression_data(seed=0):
    """64 samples with 5 features and one target."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(SAMPLES, 5)).astype("float32")
    y = rng.normal(size=(SAMPLES, 1)).astype("float32")
    return x, y


def mirrored_strategy(replicas, cross_device_ops=None):
    """A strategy over `replicas` virtual CPUs.

    The collective operations that TensorFlow chooses by default can be set up
    once in a process; reduction to one device works any number of times.
    """
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(
        [f"CPU:{i}" for i in range(replicas)],
        cross_device_ops=cross_device_ops
        or tf.distribute.ReductionToOneDevice(),
    )


def make_model(batch_norm=False):
    layers = [keras.layers.Dense(7, activation="tanh")]
    if batch_norm:
        layers.append(keras.layers.BatchNormalization(synchronized=True))
    layers.append(keras.layers.Dense(1, dtype="float32"))
    return keras.Sequential([keras.Input((5,)), *layers])


def compiled(
    make_optimizer,
    replicas=0,
    make_model=make_model,
    cross_device_ops=None,
    jit_compile=False,
    **compile_kwargs,
):
    """A model with a built optimizer; no strategy for `replicas=0`."""
    scope = contextlib.nullcontext()
    if replicas:
        scope = mirrored_strategy(replicas, cross_device_ops).scope()
    keras.utils.set_random_seed(0)
    with scope:
        model = make_model()
        model.compile(
            make_optimizer(), "mse", jit_compile=jit_compile, **compile_kwargs
        )
        model.optimizer.build(model.trainable_variables)
    return model


def train(make_optimizer, replicas=0, epochs=2, data=None, **kwargs):
    """Trains a fresh model and returns all its weights in one vector."""
    model = compiled(make_optimizer, replicas, **kwargs)
    fit(model, epochs, data)
    return weights(model)


def look_up(x, kernel, bias):
    """Predictions of `descend` whose gradient is sparse."""
    import tensorflow as tf

    rows = tf.cast(tf.abs(10 * x[:, :3]), "int32") % 5
    return tf.reduce_sum(tf.gather(kernel.value, rows), axis=1) + bias


def fit(model, epochs=1, data=None, **kwargs):
    """Trains; with arrays, all epochs in one, as each makes iterators anew."""
    if data is None:
        x, y = regression_data()
        kwargs = {
            "x": x,
            "y": y,
            "batch_size": BATCH,
            "shuffle": False,
        } | kwargs
        for name in ("x", "y"):
            kwargs[name] = np.concatenate([kwargs[name]] * epochs)
        epochs = 1
    else:
        kwargs["x"] = data
    return model.fit(epochs=epochs, verbose=0, **kwargs)


def weights(model):
    return np.concatenate([w.ravel() for w in model.get_weights()])


def apply(optimizer, gradients, variables):
    """`optimizer.apply`; on JAX the stateless one, which has conditions."""
    if keras.backend.backend() != "jax":
        optimizer.apply(gradients, variables)
        return
    if not optimizer.built:
        optimizer.build(variables)
    values, states = optimizer.stateless_apply(
        [v.value for v in optimizer.variables],
        gradients,
        [v.value for v in variables],
    )
    for variable, value in zip(
        [*variables, *optimizer.variables], [*values, *states], strict=True
    ):
        variable.assign(value)


def linear(x, kernel, bias):
    return keras.ops.matmul(x, kernel) + bias


def descend(
    make_optimizer,
    replicas=0,
    steps=8,
    data=None,
    predict=linear,
    cross_device_ops=None,
    run_eagerly=False,
    after_step=None,
    batch=BATCH,
):
    """Applies an optimizer to a regression problem without a model.

    Much less to trace than a model's training step.

    Returns:
        Final values of the two variables in one vector.
    """
    import tensorflow as tf

    data = data or regression_data()
    whole = SAMPLES // batch * batch
    x, y = (np.split(part[:whole], SAMPLES // batch) for part in data)
    strategy = tf.distribute.get_strategy()
    if replicas:
        strategy = mirrored_strategy(replicas, cross_device_ops)
    with strategy.scope():
        kernel = keras.Variable(np.ones((5, 1), "float32"))
        bias = keras.Variable(np.zeros((1,), "float32"))
        optimizer = make_optimizer()
        optimizer.build([kernel, bias])

    def replica_step(x, y):
        with tf.GradientTape() as tape:
            error = predict(x, kernel, bias) - y
            loss = optimizer.scale_loss(tf.reduce_sum(error**2) / batch)
        gradients = tape.gradient(loss, [kernel.value, bias.value])
        optimizer.apply(gradients, [kernel, bias])

    def step(x, y):
        strategy.run(replica_step, args=(x, y))

    if not run_eagerly:
        step = tf.function(step)

    def distributed(samples):
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(
                np.split(samples, max(replicas, 1))[
                    context.replica_id_in_sync_group
                ]
            )
        )

    for i in range(steps):
        part = i % len(x)
        step(distributed(x[part]), distributed(y[part]))
        if after_step is not None:
            after_step(optimizer)
    return np.concatenate([np.ravel(kernel.numpy()), bias.numpy()])
