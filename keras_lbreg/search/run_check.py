"""The program that checks a search: `python -m ... SEARCH.json ANSWER.json`."""

import pathlib
import sys

from keras_lbreg.experiments.json_file import read_json, write_json
from keras_lbreg.experiments.placement import REPEATED, kind_of
from keras_lbreg.search.check_search import check_search
from keras_lbreg.search.search import Search
from keras_lbreg.search.trials.prepare_child import prepare_child


def main(question, answer):
    search = Search.from_json(read_json(question, dict))
    prepare_child(search)
    try:
        content = {"facts": check_search(search)}
    except REPEATED as error:
        content = {"error": [kind_of(error), str(error)]}
    write_json(answer, content)


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
