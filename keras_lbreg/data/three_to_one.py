"""The 3:1 split of the gradient-noise paper."""

import numpy as np


def three_to_one(labels, seed=0):
    """Whether each sample trains, of its integer label, class by class.

    Of every class with `n` samples `ceil(0.75 n)` train and the others
    validate. Over the 9,144 images of Caltech-101's 102 folders that makes the
    paper's 6,903 training images. Which images they were is unknown; here
    those of class `c`, in the order in which they are stored, are shuffled by
    `numpy.random.default_rng([seed, c])`, and the first ones train.

    Reference: Jaiswal and Taura, ResNet50 on Caltech-101.
    """
    trains = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        random = np.random.default_rng([seed, int(label)])
        # ceil(0.75 n) in integers.
        count = -(-3 * len(members) // 4)
        trains[random.permutation(members)[:count]] = True
    return trains
