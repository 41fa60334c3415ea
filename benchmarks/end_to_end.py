"""Whole training steps, plain, with each technique and with all; the data."""

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
# Image, padding.
IMAGES = {"MNIST": ((28, 28, 1), 2), "CIFAR-10": ((32, 32, 3), 4)}


def cases(backend, quick):
    sizes = [("F1", 4096), ("ResNet18", 1024), ("F1", 512), ("ResNet18", 128)]
    made = [
        network_case(network, batch)
        for network, batch in ([("F1", 64)] if quick else sizes)
    ]
    if backend == "tensorflow":
        for name, batch in itertools.product(IMAGES, (128, 4096)):
            if not quick:
                made.append(augmentation_case(name, batch))
    return made


def network_case(network, batch_size):
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
    about = {"network": network, "batch_size": batch_size}
    name = f"{network} batch {batch_size}"
    return Case(name, variants, about, memory=True)


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


def augmentation_case(name, batch_size):
    """Pad, crop and flip a batch: ours in NumPy, Keras's layers, `tf.image`."""
    variants = {
        "ours": functools.partial(ours, *IMAGES[name], batch_size),
        "Keras's layers": functools.partial(
            keras_layers, *IMAGES[name], batch_size
        ),
        "tf.image": functools.partial(tf_image, *IMAGES[name], batch_size),
    }
    about = {"images": name, "batch_size": batch_size}
    return Case(f"augmentation {name} batch {batch_size}", variants, about)


def pixels(shape, batch_size):
    random = np.random.default_rng(0)
    return random.integers(0, 255, (batch_size, *shape), "uint8")


def ours(shape, pad, batch_size):
    from keras_lbreg.data import Augmentation

    augment = Augmentation(pad=pad, flip=True)
    images, random = pixels(shape, batch_size), np.random.default_rng(0)
    return Step(lambda: augment(images, random))


def keras_layers(shape, pad, batch_size):
    import keras
    import tensorflow as tf

    layers = keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.ZeroPadding2D(pad),
            keras.layers.RandomCrop(*shape[:2]),
            keras.layers.RandomFlip("horizontal"),
        ]
    )
    compiled = tf.function(lambda x: layers(x, training=True))
    images = tf.constant(pixels(shape, batch_size))
    return Step(lambda: compiled(images).numpy())


def tf_image(shape, pad, batch_size):
    """Image by image, in a parallel map that works ahead."""
    import tensorflow as tf

    height, width, _ = shape

    def augment(image):
        image = tf.image.pad_to_bounding_box(
            image, pad, pad, height + 2 * pad, width + 2 * pad
        )
        image = tf.image.random_crop(image, shape)
        return tf.image.random_flip_left_right(image)

    data = tf.data.Dataset.from_tensor_slices(pixels(shape, batch_size))
    data = data.map(augment, num_parallel_calls=tf.data.AUTOTUNE)
    # Nothing is made while the others have their turns.
    data = data.batch(batch_size).repeat()
    stream = iter(data)
    return Step(lambda: next(stream).numpy())
