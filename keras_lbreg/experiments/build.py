"""Model, batches and callbacks of one run."""

import dataclasses
import itertools

import keras
import numpy as np

from keras_lbreg.data.batches import Batches
from keras_lbreg.data.tensorflow_stream import tensorflow_stream
from keras_lbreg.experiments import validation
from keras_lbreg.experiments.make_optimizer import make_optimizer
from keras_lbreg.optimizers.reduced_gradient import ReducedGradient
from keras_lbreg.techniques import Context

# Beside the run's seed and the update's number: augmentation has random numbers
# of its own.
AUGMENTATION = 1

# Steps that TensorFlow runs without going back to Python.
LONGEST_EXECUTION = 128


def build_model(plan, dataset, seed):
    """The compiled model of one run, a function of plan and seed alone.

    Args:
        plan: The `Plan`.
        dataset: The `Dataset`.
        seed: Seed of the run.

    Returns:
        A compiled `keras.Model`.

    Example:

    >>> model = build_model(plan, load_dataset("digits"), seed=0)

    Reference: `Technique` describes the hooks.
    """
    keras.utils.set_random_seed(seed)
    context = make_context(plan, dataset, seed)
    model = plan.recipe.build_network(dataset)
    for hook, hp in plan.hooks("model"):
        model = hook(model, hp, context)
    optimizer = make_optimizer(
        plan.recipe,
        plan.regime.to_schedule(plan.steps_per_epoch),
        plan.steps_per_epoch,
    )
    if plan.placement.replicas > 1:
        # Keras would clip each replica's gradient before their sum.
        optimizer = ReducedGradient(optimizer)
    for hook, hp in plan.hooks("optimizer"):
        optimizer = hook(optimizer, hp, context)
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        steps_per_execution=steps_per_execution(plan),
    )
    return model


def build_data(plan, dataset, seed, initial_epoch=0, limit=None):
    """What `fit` reads: endless batches, or the first `limit` of them.

    Args:
        plan: The `Plan`.
        dataset: The `Dataset`.
        seed: Seed of the run.
        initial_epoch: The epoch to begin with, from 0.
        limit: Number of batches, or `None` for no end.

    Under a strategy of several replicas, replica `k` of `K` gets the `k`-th
    of `K` equal parts of each batch. Every process knows the order of the
    samples and takes those of its own replicas.

    Returns:
        A `tf.data.Dataset` under TensorFlow (a `DistributedDataset` under a
        strategy), elsewhere an iterator.

    Example:

    >>> model.fit(build_data(plan, dataset, seed=0), steps_per_epoch=10)

    Reference: `keras_lbreg.data.batches.Batches` fixes the order.
    """
    context = dataclasses.replace(
        make_context(plan, dataset, seed),
        initial_step=initial_epoch * plan.steps_per_epoch,
    )

    size = plan.batch_size // plan.placement.replicas
    parts = [
        slice(index * size, (index + 1) * size)
        for index in plan.placement.local_replicas
    ]

    # A generator: the only kind of iterator that `fit` takes.
    def batches():
        result = Batches(
            # The numbers of the samples: they are looked up where it is known
            # which of them this process needs.
            np.arange(len(dataset.x_train)),
            dataset.y_train,
            plan.batch_size,
            seed,
            initial_epoch,
            plan.steps_per_epoch,
        )
        for hook, hp in plan.hooks("data"):
            result = hook(result, hp, context)
        steps = itertools.count(context.initial_step)
        numbered = zip(
            steps, itertools.islice(iter(result), limit), strict=False
        )
        for step, (numbers, *others) in numbered:
            places = dataset.places(len(numbers), [seed, step, AUGMENTATION])
            for part in parts:
                x = dataset.training_inputs(numbers, places, part)
                yield x, *(values[part] for values in others)

    if keras.backend.backend() != "tensorflow":
        return batches()
    import tensorflow as tf

    # Static shapes: ghost batches are then cut at tracing time.
    signature = tf.nest.map_structure(
        lambda array: tf.TensorSpec(array.shape, array.dtype),
        next(batches()),
    )

    def make_dataset():
        data = tensorflow_stream(batches, signature)
        if plan.placement.workers > 1 and limit is None:
            # Workers ask one another before every step whether somebody has
            # come to the end, unless they know that there is none.
            data = data.apply(
                tf.data.experimental.assert_cardinality(
                    tf.data.INFINITE_CARDINALITY
                )
            )
        return data

    return plan.placement.distribute(make_dataset)


def build_callbacks(plan, dataset, seed):
    """The callbacks that the techniques of the run ask for."""
    context = make_context(plan, dataset, seed)
    return [
        callback
        for hook, hp in plan.hooks("callbacks")
        for callback in hook(hp, context)
    ]


def compile_ahead(model, plan, dataset, seed):
    """Trace and compile one training and one validation step.

    So that the clock of a run measures training alone. It changes the model's
    variables: the caller puts the state back.
    """
    steps = steps_per_execution(plan)
    model.fit(
        # Several steps at once end early where there is no more data.
        build_data(plan, dataset, seed, limit=None if steps == 1 else 1),
        steps_per_epoch=steps,
        **validation.for_fit(
            plan.placement,
            dataset.x_val[: validation.LARGEST_BATCH],
            dataset.y_val[: validation.LARGEST_BATCH],
        ),
        shuffle=False,
        verbose=0,
    )


def make_context(plan, dataset, seed):
    return Context(
        seed=seed,
        base_batch_size=plan.base_batch_size,
        batch_size=plan.batch_size,
        dreg_layer=plan.recipe.dreg_layer,
        replicas=plan.placement.replicas,
        validation_data=(dataset.x_val, dataset.y_val),
    )


def steps_per_execution(plan):
    """The largest useful divisor of the steps between two records.

    Keras overruns the end of an epoch that it does not divide.
    """
    if keras.backend.backend() != "tensorflow" or plan.placement.workers > 1:
        return 1
    steps = plan.record_every * plan.steps_per_epoch
    longest = min(steps, LONGEST_EXECUTION)
    return next(n for n in range(longest, 0, -1) if steps % n == 0)
