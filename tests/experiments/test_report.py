"""The page holds the numbers, says what is missing, and needs no network."""

import dataclasses
import html.parser
import re
import shlex

import pytest
from typer.testing import CliRunner

from keras_lbreg.cli.app import app
from keras_lbreg.experiments.headline import headline
from keras_lbreg.experiments.report import write_report
from keras_lbreg.experiments.reproduce import compare_command
from keras_lbreg.experiments.results import read_results
from keras_lbreg.experiments.table import table_rows
from tests.experiments.fake_results import (
    ARMS,
    LARGE,
    SCALED,
    SMALL,
    write_results,
)


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
def folder(tmp_path_factory):
    folder = write_results(tmp_path_factory.mktemp("results"))
    write_report(read_results(folder))
    return folder


@pytest.fixture(scope="module")
def source(folder):
    return (folder / "report.html").read_text()


def test_files(folder):
    names = {path.name for path in folder.iterdir()}
    assert {"report.html", "table.md", "table.csv", "plots"} <= names
    assert sorted(path.name for path in (folder / "plots").iterdir()) == [
        "accuracy_by_epoch.png",
        "accuracy_by_time.png",
        "gap_closed.png",
        "weight_distance.png",
    ]
    assert not [path for path in folder.rglob(".*") if path.is_file()]


def test_the_page_holds_headline_and_table(folder, source):
    results = read_results(folder)
    text = Page(source).text
    assert headline(results) in text
    for row in table_rows(results):
        for cell in row:
            assert cell in text


def test_the_page_says_what_was_scaled(source):
    text = Page(source).text
    for arm in ARMS:
        for change in arm.changes:
            assert change in text
    assert "0.387, 0.0387" in text


def test_the_page_names_the_techniques_and_the_machine(source):
    text = Page(source).text
    assert "Ghost batch normalization" in text
    assert "docs/methods/ghost_batch_normalization.md" in text
    assert "Distinctive regularization" not in text
    assert "keras 3.15.1" in text
    assert "A <fast> processor" in text
    assert "A <fast>" not in source


def test_the_page_needs_nothing_else(source):
    page = Page(source)
    assert page.loaded == []
    assert "@import" not in source
    assert not re.search(r"url\((?!#)", source)


def test_four_figures_in_the_page(source):
    assert source.count("<svg") == 4
    assert source.count("<figcaption>") == 4


def test_a_page_in_mid_run_says_what_is_missing(tmp_path):
    unfinished = [("lr", 2), *(("lr_gbn_ra", seed) for seed in range(3))]
    write_results(tmp_path, failed=[("lr", 1)], unfinished=unfinished)
    text = Page(write_report(read_results(tmp_path)).read_text()).text
    assert "4 of 12 runs have not ended" in text
    assert "LR, seed 1: the loss is nan at epoch 11" in text


def test_a_page_before_the_first_epoch(tmp_path):
    write_results(tmp_path, arms=[], seeds=3)
    manifest = tmp_path / "manifest.json"
    write_results(tmp_path / "other", (SCALED,), seeds=1)
    manifest.write_text((tmp_path / "other" / "manifest.json").read_text())
    text = Page(write_report(read_results(tmp_path)).read_text()).text
    assert "1 of 1 runs have not ended" in text
    assert "no gap to compare with" in text


def test_a_second_report_replaces_the_first(tmp_path):
    write_results(tmp_path, unfinished=[("lr", 0)])
    page = write_report(read_results(tmp_path))
    first = page.read_text()
    run = tmp_path / "runs" / "lr" / "seed-0"
    (run / "summary.json").write_text('{"status": "failed", "reason": "why"}')
    write_report(read_results(tmp_path))
    assert "LR, seed 0: why" in Page(page.read_text()).text
    assert "LR, seed 0: why" not in first


def test_the_command_repeats_the_configuration(folder, monkeypatch):
    command = compare_command(read_results(folder).manifest, folder)
    words = shlex.split(command)
    assert words[:3] == ["lbreg", "compare", "digits"]
    assert "dreg.weight=0.05" in words
    seen = {}

    def record(experiment, on_event, fresh):
        seen["experiment"] = experiment
        raise ZeroDivisionError

    monkeypatch.setattr("keras_lbreg.experiments.compare", record)
    at = words.index("--backend")
    CliRunner().invoke(app, words[1:at])
    experiment = seen["experiment"]
    assert experiment.arms == tuple(arm.name for arm in ARMS)
    assert experiment.seeds == 3
    assert (experiment.small_batch_size, experiment.batch_size) == (20, 300)
    assert experiment.epochs == 20
    assert experiment.hyperparameters == {"dreg": {"weight": 0.05}}


@pytest.mark.parametrize(
    ("strategy", "virtual", "words"),
    [
        ("one", 4, ""),
        ("mirrored", 1, "--strategy mirrored --devices 2"),
        ("mirrored", 4, "--strategy mirrored --devices 2 --virtual-devices 4"),
        ("multi-worker", 1, "--strategy multi-worker"),
    ],
)
def test_the_command_repeats_the_devices(folder, strategy, virtual, words):
    manifest = read_results(folder).manifest
    manifest["config"].update(strategy=strategy, devices=2)
    # Without it, as a manifest of an earlier version.
    before = compare_command(manifest, folder)
    command = compare_command({**manifest, "virtual_devices": virtual}, folder)
    assert command.startswith(before)
    assert command.partition("--backend tensorflow")[2].strip() == words


@pytest.mark.parametrize(
    "changes",
    [
        {"holdout": 0.1},
        {"until": 0.5},
        # Beside `--config` there is no `--set`.
        {"arm": "tuned"},
        {"arm": "mine", "hyperparameters": {}},
    ],
)
def test_what_has_no_command_says_so(tmp_path, changes):
    changes = dict(changes)
    own = dataclasses.replace(LARGE, name=changes.pop("arm", "lr"))
    write_results(tmp_path, arms=(SMALL, own))
    results = read_results(tmp_path)
    results.manifest["config"].update(changes)
    assert compare_command(results.manifest, tmp_path) is None
    text = Page(write_report(results).read_text()).text
    assert "no lbreg compare command" in text
