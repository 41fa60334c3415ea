"""The program that confirms a winner: `python -m ... FOLDER_OF_SEARCH`."""

import sys

from keras_lbreg.experiments import compare
from keras_lbreg.search.confirmation.confirm_experiment import (
    confirm_experiment,
    read_confirmation,
)
from keras_lbreg.search.read_search import read_search
from keras_lbreg.search.search import Search
from keras_lbreg.search.trials.prepare_child import prepare_child


def main(folder):
    results = read_search(folder)
    prepare_child(Search.from_json(results.search))
    # What is there may be of a trial that was the best before.
    stale = read_confirmation(results) is None
    compare(confirm_experiment(results), fresh=stale)


if __name__ == "__main__":
    main(*sys.argv[1:])
