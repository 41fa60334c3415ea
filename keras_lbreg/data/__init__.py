"""Datasets, batches and sample weights."""

from keras_lbreg.data.augmentation import Augmentation
from keras_lbreg.data.batches import Batches
from keras_lbreg.data.dataset import Dataset
from keras_lbreg.data.hold_out import hold_out_rows
from keras_lbreg.data.load_dataset import load_dataset
from keras_lbreg.data.prepared import prepared_datasets

__all__ = [
    "Augmentation",
    "Batches",
    "Dataset",
    "hold_out_rows",
    "load_dataset",
    "mix_sample_weights",
    "prepared_datasets",
]


def __getattr__(name):
    # The only one that needs Keras, which takes seconds to import.
    if name == "mix_sample_weights":
        from keras_lbreg.data.sample_weights import mix_sample_weights

        return mix_sample_weights
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
