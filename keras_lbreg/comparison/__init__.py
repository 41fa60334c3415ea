"""Arms side by side, on any workload."""

from keras_lbreg.comparison.arms import arm_names, standard_arms
from keras_lbreg.comparison.compare import compare, train
from keras_lbreg.comparison.results import Results, read_results

__all__ = [
    "Results",
    "arm_names",
    "compare",
    "read_results",
    "standard_arms",
    "train",
]
