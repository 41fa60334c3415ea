"""Search for good settings of the techniques with KerasTuner."""

from keras_lbreg.tuning.configuration import Configuration
from keras_lbreg.tuning.search_space import SearchSpace

__all__ = ["Configuration", "SearchSpace"]
