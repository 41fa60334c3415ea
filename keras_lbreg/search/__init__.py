"""Search for good settings of the techniques on a dataset."""

from keras_lbreg.search.ledger import Ledger
from keras_lbreg.search.read_search import read_search
from keras_lbreg.search.run_search import run_search
from keras_lbreg.search.search import Search
from keras_lbreg.search.search_results import Execution, SearchResults, Trial

__all__ = [
    "Execution",
    "Ledger",
    "Search",
    "SearchResults",
    "Trial",
    "read_search",
    "run_search",
]
