"""The page holds the numbers, says what is missing, and needs no network."""

import html.parser
import re

import pytest

from keras_lbreg.comparison.report import render_report, write_report
from keras_lbreg.comparison.statistics import headline
from keras_lbreg.comparison.table import table_rows
from tests.comparison.fake_results import results_of

FINALS = {
    "small_batch": [0.960, 0.970, 0.980],
    "large_batch": [0.900, 0.911, 0.922],
    "lr": [0.930, 0.941, 0.951],
    "lr_gbn_ra": [0.970, 0.972, 0.981],
}


class Page(html.parser.HTMLParser):
    """Text, and everything that a browser would load."""

    def __init__(self, source):
        super().__init__()
        self.text = ""
        self.loaded = []
        self.open = []
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag in ("script", "link", "img", "iframe"):
            self.loaded.append(tag)
        self.loaded += [
            attributes[k] for k in ("src", "srcset") if k in attributes
        ]
        self.open.append(tag)

    def handle_data(self, data):
        if "style" not in self.open[-1:]:
            self.text += data.replace("\u00a0", " ")

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    results = results_of(FINALS, tmp_path_factory.mktemp("results"), epochs=8)
    write_report(results)
    return results


@pytest.fixture(scope="module")
def source(results):
    return (results.path / "report.html").read_text("utf-8")


def test_files(results):
    names = {path.name for path in results.path.iterdir()}
    assert names == {"report.html", "table.md", "table.csv", "plots"}
    assert sorted(path.name for path in (results.path / "plots").iterdir()) == [
        "gap_closed.png",
        "learning_rate.png",
        "loss.png",
        "objective_by_epoch.png",
        "objective_by_time.png",
        "weight_distance.png",
    ]


def test_the_page_holds_headline_and_table(results, source):
    text = Page(source).text
    assert headline(results) in text
    for row in table_rows(results):
        for cell in row:
            assert cell in text
    for arm in results.arms:
        for change in arm["changes"]:
            assert change in text
    assert "Ghost batch normalization" in text
    assert "keras 3.15.1" in text
    assert "A <fast>" not in source


def test_the_page_needs_nothing_else(source):
    assert Page(source).loaded == []
    assert "@import" not in source
    assert not re.search(r"url\((?!#)", source)
    assert source.count("<svg") == 7


def test_a_page_in_mid_run_says_what_is_missing(tmp_path):
    statuses = {("lr_gbn_ra", seed): "running" for seed in range(3)}
    statuses["lr", 1] = "failed"
    results = results_of(FINALS, tmp_path, epochs=4, statuses=statuses)
    text = Page(write_report(results).read_text("utf-8")).text
    assert "3 of 12 runs have not ended" in text
    assert "LR, seed 1, failed: the loss is nan" in text


def test_a_page_before_the_first_epoch(tmp_path):
    statuses = {("lr", 0): "running"}
    results = results_of({"lr": [0.9]}, tmp_path, statuses=statuses)
    text = Page(write_report(results).read_text("utf-8")).text
    assert "no gap to compare with" in text


def test_the_command_is_the_one_that_was_given(tmp_path):
    results = results_of(FINALS, tmp_path)
    results.manifest["argv"] = ["lbreg", "compare", "my file.py"]
    assert "lbreg compare 'my file.py'" in Page(render_report(results, [])).text
