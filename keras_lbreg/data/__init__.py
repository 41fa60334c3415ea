"""Datasets, batches and sample weights."""

from keras_lbreg.data.dataset import Dataset
from keras_lbreg.data.load_dataset import load_dataset
from keras_lbreg.data.mix_sample_weights import mix_sample_weights

__all__ = ["Dataset", "load_dataset", "mix_sample_weights"]
