"""Scikit-learn's handwritten digits, which need no download."""

import numpy as np

from keras_lbreg.data.dataset import Dataset

# A power of two: every batch size that is one divides the training set.
TRAIN_SAMPLES = 1024


def load_digits():
    """The test part of https://archive.ics.uci.edu/dataset/80, in two."""
    from sklearn.datasets import load_digits as sklearn_digits
    from sklearn.model_selection import train_test_split

    digits = sklearn_digits()
    images = digits.images[..., np.newaxis].astype("uint8")
    x_train, x_val, y_train, y_val = train_test_split(
        images,
        digits.target.astype("int32"),
        train_size=TRAIN_SAMPLES,
        stratify=digits.target,
        random_state=0,
    )
    return Dataset(
        "digits",
        x_train,
        y_train,
        x_val,
        y_val,
        classes=10,
        title="Digits (8x8)",
        notes=(
            "The 1,797 handwritten digits of scikit-learn in a fixed "
            "stratified split."
        ),
    )
