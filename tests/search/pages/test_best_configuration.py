"""The winner as a file that `lbreg train --config` reads."""

import pytest

from keras_lbreg.experiments.configuration_file import (
    read_configuration,
    write_configuration,
)
from keras_lbreg.search.pages.best_configuration import best_configuration
from keras_lbreg.search.read_search import read_search
from tests.search.fake_search import write_search


def test_it_holds_the_winner_and_where_it_comes_from(tmp_path):
    results = read_search(write_search(tmp_path))
    found = best_configuration(results)
    best = results.best
    assert found.techniques == best.configuration.techniques
    assert found.learning_rate_factor == best.values["learning_rate_factor"]
    assert (found.dataset, found.batch_size) == ("digits", 512)
    assert (found.small_batch_size, found.epochs) == (16, 20)
    assert found.origin["trial"] == best.id
    assert found.origin["score"] == best.score
    assert found.origin["std"] == best.std
    assert found.origin["seeds"] == [0, 1]
    assert found.origin["command"].startswith("lbreg tune digits")


def test_it_survives_the_file(tmp_path):
    folder = write_search(tmp_path, executions=1)
    found = best_configuration(read_search(folder))
    # One seed has no deviation, and JSON no nan.
    assert found.origin["std"] is None
    write_configuration(tmp_path / "best.json", found)
    again = read_configuration(tmp_path / "best.json")
    assert again == found
    assert set(again.arm().techniques) == set(found.techniques)


def test_there_must_be_a_winner(tmp_path):
    results = read_search(write_search(tmp_path, trials=1, failed=(0,)))
    with pytest.raises(ValueError, match=r"completed trial.*has none"):
        best_configuration(results)
