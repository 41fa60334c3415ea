"""Real local gradients of a network on digits."""

import numpy as np

from recipes.gradient_mix_2023.configuration import GROUPS

BATCH = 512
# Of the most groups: those of fewer are means of them.
GROUP = BATCH // max(GROUPS)
EPOCHS = 2


def trained_network(dataset, seed):
    """A digits network after two epochs, its normalization frozen.

    With frozen statistics the gradient of a batch is the mean of those of its
    samples, as the formulas have it; with batch normalization in training
    mode a group's gradient depends on the whole batch.

    Args:
        dataset: The `Dataset`.
        seed: Seed of the weights and of the order of the samples.

    Returns:
        A compiled `keras.Model`, which takes steps of exactly its gradient.
    """
    import keras

    from recipes.gradient_mix_2023.configuration import digits_network

    keras.utils.set_random_seed(seed)
    model = digits_network(dataset)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.02, momentum=0.9), loss)
    model.fit(
        dataset.x_train,
        dataset.y_train,
        batch_size=64,
        epochs=EPOCHS,
        verbose=0,
    )
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    model.compile(keras.optimizers.SGD(1.0), loss)
    return model


def local_gradients(model, dataset, groups):
    """The gradient of each group of samples.

    Args:
        model: The model of `trained_network`.
        dataset: The `Dataset`.
        groups: Integer array `(groups, size)`, numbers of training samples.

    Returns:
        Array `(groups, parameters)`.
    """
    from keras_lbreg.analysis import LossSurface

    surface = LossSurface(model, dataset.x_train, dataset.y_train)
    theta = surface.point()
    return np.stack([surface.gradient_of(theta, group) for group in groups])


def coarser(gradients, groups):
    """The gradients of fewer groups, each made of neighbours."""
    shape = (groups, len(gradients) // groups, *gradients.shape[1:])
    return gradients.reshape(shape).mean(axis=1)
