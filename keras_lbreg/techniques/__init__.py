"""The techniques, as experiments, command line, tests and docs see them."""

from keras_lbreg.techniques.register import TECHNIQUES, get, names
from keras_lbreg.techniques.technique import Context, SearchRange, Technique

__all__ = ["TECHNIQUES", "Context", "SearchRange", "Technique", "get", "names"]
