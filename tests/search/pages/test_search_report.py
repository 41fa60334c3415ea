"""The page of a search holds its numbers and needs no network."""

import re

import pytest

from keras_lbreg.search.confirmation.confirm_experiment import read_confirmation
from keras_lbreg.search.confirmation.confirm_headline import confirm_headline
from keras_lbreg.search.pages.search_figures import make_search_figures
from keras_lbreg.search.pages.search_headline import search_headline
from keras_lbreg.search.pages.search_report import render_search_report
from keras_lbreg.search.pages.search_table import top_rows
from keras_lbreg.search.pages.tune_command import tune_command
from keras_lbreg.search.pages.write_hparams import hparams_path
from keras_lbreg.search.read_search import read_search
from tests.experiments.test_report import Page
from tests.search.fake_confirmation import tuned, write_confirmation
from tests.search.fake_search import write_search


def render(results, figures=()):
    return render_search_report(results, read_confirmation(results), figures)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    results = read_search(write_search(folder, running=(39,)))
    write_confirmation(results)
    return results


@pytest.fixture(scope="module")
def source(results):
    return render(results, make_search_figures(results))


@pytest.fixture(scope="module")
def text(source):
    return Page(source).text


def test_what_was_found(results, text):
    assert search_headline(results) in text
    for row in top_rows(results):
        for cell in row:
            assert cell in text
    for key in results.best.configuration.techniques:
        assert key in text


def test_whether_it_helped(results, text):
    comparison = read_confirmation(results)
    assert confirm_headline(comparison) in text
    assert "Seeds 1000, 1001, 1002, which no trial had" in text
    assert "96.0 ± 0.5" in text
    assert "20 epochs each" in text
    assert "the validation data, which judged no trial" in text


def test_without_held_out_data_the_winner_is_flattered(tmp_path):
    results = read_search(write_search(tmp_path, holdout=0.0))
    write_confirmation(results)
    text = Page(render(results)).text
    assert "which judged the trials too, so that it flatters" in text
    assert "which judged no trial" not in text


def test_a_winner_that_trains_longer(tmp_path):
    results = read_search(write_search(tmp_path))
    write_confirmation(results, tuned(epochs=640))
    text = Page(render(results)).text
    assert "The winner on fresh seeds, trained x32 longer" in text
    assert "All arms but the winner train for 20 epochs" in text
    assert "epochs each" not in text


def test_what_failed_and_what_has_not_ended(text):
    assert "the loss became nan in epoch N: trials 003, 011" in text
    assert "1 trials have not ended" not in text
    assert "1 trial has not ended" in text


def test_how_to_do_it_again_and_where_it_ran(results, text):
    assert tune_command(results.search) in text
    assert "A <fast> processor" in text


def test_where_tensorboard_finds_the_trials(results, text):
    assert "not for TensorBoard" in text
    logs = hparams_path(results)
    logs.mkdir()
    assert f"tensorboard --logdir {logs}" in Page(render(results)).text
    logs.rmdir()


def test_links_lead_into_the_folder(source):
    links = set(re.findall(r' href="([^"#]*)"', source))
    assert links == {
        "trials.csv",
        "trials.json",
        "best.json",
        "confirm/report.html",
    }


def test_the_page_needs_nothing_else(source):
    assert Page(source).loaded == []
    assert not re.search(r"url\((?!#)", source)
    assert source.count("<svg") == 4
    assert "A <fast>" not in source


def test_without_a_winner(tmp_path):
    results = read_search(write_search(tmp_path, trials=2, failed=(0, 1)))
    text = Page(render(results)).text
    assert "No trial has completed." in text
    assert "best.json" not in text
