"""Compare arms on one dataset, with results on disk."""

from keras_lbreg.experiments.arm import Arm
from keras_lbreg.experiments.arms import arm_names, get_arm, standard_arms
from keras_lbreg.experiments.choose_strategy import choose_strategy
from keras_lbreg.experiments.compare import compare
from keras_lbreg.experiments.configuration_file import (
    ConfigurationFile,
    read_configuration,
    write_configuration,
)
from keras_lbreg.experiments.experiment import Experiment
from keras_lbreg.experiments.results import read_results
from keras_lbreg.experiments.run import run
from keras_lbreg.experiments.statistics import arm_statistics

__all__ = [
    "Arm",
    "ConfigurationFile",
    "Experiment",
    "arm_names",
    "arm_statistics",
    "choose_strategy",
    "compare",
    "get_arm",
    "read_configuration",
    "read_results",
    "run",
    "standard_arms",
    "write_configuration",
]
