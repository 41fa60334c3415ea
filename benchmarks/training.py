"""A training step with techniques of the register, as groups time it."""

import contextlib
import importlib
import itertools
import math

import numpy as np

from benchmarks.harness import Step

# Module, function, its settings, and the shape of an image.
NETWORKS = {
    "C1": ("keras_lbreg.workloads.networks", "c1", {}, (32, 32, 3)),
    "F1": (
        "keras_lbreg.workloads.networks",
        "fully_connected",
        {"widths": (512,) * 5},
        (28, 28, 1),
    ),
    "ResNet18": ("recipes.networks", "resnet18", {}, (32, 32, 3)),
}


def make_network(name):
    """A network for `images`, not compiled, with weights of seed 0."""
    import keras

    module, function, settings, shape = NETWORKS[name]
    keras.utils.set_random_seed(0)
    moments = [0.5] * shape[-1], [0.08] * shape[-1]
    make = getattr(importlib.import_module(module), function)
    return make(shape, "float32", 10, moments, **settings)


def images(name, batch_size):
    """Random images of ten classes: equal ones would have no variance."""
    shape = (batch_size, *NETWORKS[name][-1])
    x = np.random.default_rng(0).random(shape, "float32")
    return x, np.arange(batch_size) % 10


def training_step(network, batch_size, techniques=(), replicas=1):
    """One update by SGD with momentum, as `train_on_batch` makes it.

    `techniques` has settings by name. With several replicas, they share the
    batch, and what they reduce is counted.
    """
    import keras

    from keras_lbreg.techniques import Context, get, hooks

    batch = images(network, batch_size)
    context = Context(
        seed=0,
        base_batch_size=128,
        batch_size=batch_size,
        replicas=replicas,
    )
    settings = {
        name: get(name).hyperparameters(values)
        for name, values in dict(techniques).items()
    }
    strategy = mirrored_strategy(replicas)
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = make_network(network)
        optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
        for hook, values in hooks(settings, "model"):
            model = hook(model, values, context)
        for hook, values in hooks(settings, "optimizer"):
            optimizer = hook(optimizer, values, context)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss)
    batches = itertools.repeat(batch)
    for hook, values in hooks(settings, "data"):
        batches = hook(batches, values, context)
    batches = iter(batches)
    counted = {
        "gflop": products(model, batch_size) / 1e9,
        "parameters": sum(
            math.prod(v.shape) for v in model.trainable_variables
        ),
    }
    if strategy is None:
        return Step(lambda: model.train_on_batch(*next(batches)), counted)
    return on_replicas(strategy, model, next(batches), counted)


def mirrored_strategy(replicas):
    """A strategy over virtual processors; `None` for one."""
    if replicas == 1:
        return None
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(
        [f"CPU:{i}" for i in range(replicas)],
        # TensorFlow sets its default up once in a process.
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )


def on_replicas(strategy, model, batch, counted):
    import tensorflow as tf

    # Keras builds metrics and optimizer with the first batch.
    model.train_on_batch(*(part[:8] for part in batch))
    replicas = strategy.num_replicas_in_sync
    values = tuple(
        strategy.experimental_distribute_values_from_function(
            lambda context, parts=parts: tf.constant(
                parts[context.replica_id_in_sync_group]
            )
        )
        for parts in (np.split(part, replicas) for part in batch)
    )
    step = tf.function(
        lambda *values: strategy.run(model.train_step, args=(values,))["loss"]
    )

    def run():
        strategy.experimental_local_results(step(*values))[0].numpy()

    graph = step.get_concrete_function(*values).graph
    nodes = {node.name: node for node in graph.as_graph_def().node}

    def sums_replicas(node):
        inputs = (name.strip("^").partition(":")[0] for name in node.input)
        devices = {nodes[name].device for name in inputs}
        return node.op == "AddN" and len(devices) == replicas

    reduced = [
        graph.get_tensor_by_name(f"{name}:0").shape.num_elements()
        for name, node in nodes.items()
        if sums_replicas(node)
    ]
    counted |= {"reductions": len(reduced), "reduced": sum(reduced)}
    return Step(run, counted)


def products(model, batch_size):
    """Operations of a training step's convolutions and matrix products.

    Forward, gradient of the kernel, gradient of the inputs (but the first
    layer's), each `2 * samples * positions * weights`; twice for what runs on
    both paths of DReg.
    """
    from keras_lbreg.models._keras_graph import sublayers
    from keras_lbreg.models.path_graph import PathGraph, forks

    forked = PathGraph(model, forks).forked_layers
    layers = [
        layer
        for layer in sublayers(model)
        if getattr(layer, "kernel", None) is not None
    ]
    total = 0
    for layer in layers:
        positions = math.prod(layer.output.shape[1:-1])
        forward = 2 * batch_size * positions * math.prod(layer.kernel.shape)
        paths = 2 if forks(layer) or id(layer) in forked else 1
        total += forward * paths * (2 if layer is layers[0] else 3)
    return total
