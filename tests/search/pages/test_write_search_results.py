"""Everything a search leaves behind is in its folder."""

import json

import keras
import pytest

from keras_lbreg.search.pages.write_search_results import write_search_results
from keras_lbreg.search.read_search import read_search
from tests.search.fake_confirmation import write_confirmation
from tests.search.fake_search import write_search

WRITTEN = {
    "best.json",
    "report.html",
    "table.md",
    "trials.csv",
    "trials.json",
    "plots/parallel.png",
    "plots/progress.png",
    "plots/slices.png",
}


def files(folder):
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "tensorboard" not in path.parts
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    results = read_search(write_search(folder))
    before = files(folder)
    write_confirmation(results)
    assert write_search_results(results) == folder / "report.html"
    assert before == {"search.json", "ledger.jsonl"}
    return folder


def test_files(folder):
    written = files(folder)
    assert written >= WRITTEN
    assert {name for name in written if "/." in f"/{name}"} == set()
    assert "confirm/report.html" in written


def test_tensorboard_where_tensorflow_is(folder):
    there = (folder / "tensorboard").is_dir()
    assert there == (keras.backend.backend() == "tensorflow")


def test_plots_are_pictures(folder):
    for name in WRITTEN:
        if name.endswith(".png"):
            assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_a_second_call_replaces_the_first(folder):
    before = files(folder)
    ledger = folder / "ledger.jsonl"
    lines = ledger.read_text().splitlines()
    kept = [line for line in lines if '"039"' not in line]
    ledger.write_text("\n".join(kept) + "\n")
    write_search_results(read_search(folder))
    assert files(folder) == before
    assert len(json.loads((folder / "trials.json").read_text())) == 39


def test_without_a_winner(tmp_path):
    results = read_search(write_search(tmp_path, trials=2, failed=(0, 1)))
    write_search_results(results)
    assert "best.json" not in files(tmp_path)
    assert "report.html" in files(tmp_path)
