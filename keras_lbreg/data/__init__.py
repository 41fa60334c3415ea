"""Datasets, batches and sample weights."""

from keras_lbreg.data.dataset import Dataset
from keras_lbreg.data.load_dataset import load_dataset

__all__ = ["Dataset", "load_dataset"]
