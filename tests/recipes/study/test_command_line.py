"""`python -m recipes.NAME`: runs, resumes, measures, refuses bad input."""

import dataclasses
import json

import pytest
from typer.testing import CliRunner

from keras_lbreg.experiments import read_results
from keras_lbreg.experiments.recipe import Recipe
from keras_lbreg.experiments.recipes import digits_network
from recipes.study.command_line import make_app
from recipes.study.comparison import Comparison
from recipes.study.study import Measurement, Study

RECIPE = Recipe(
    name="test/tiny",
    network=digits_network,
    small_batch_size=64,
    batch_size=512,
    learning_rate=0.05,
    epochs=2,
)


def measure(settings, on_progress):
    for done in range(3):
        on_progress(done + 1, 3)
    return {"answer": 42, "seeds": settings["seeds"]}


def fail(settings, on_progress):
    raise ValueError("Invalid value for argument `seeds`. Expected more.")


@pytest.fixture
def study(tmp_path):
    return Study(
        name="tiny",
        title="A tiny study",
        folder=tmp_path / "tiny",
        comparisons=(
            Comparison(
                "one", "one, digits", "digits", RECIPE, ("large_batch", "lr")
            ),
            Comparison("other", "other, MNIST", "mnist", RECIPE, ("lr",)),
        ),
        measurements=(
            Measurement("answer", "The answer", measure),
            Measurement("wrong", "A mistake", fail),
        ),
    )


@pytest.fixture
def command(study, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("LBREG_DATA_DIR", str(tmp_path / "no-data"))

    def run(*words):
        return CliRunner().invoke(make_app(study), [str(w) for w in words])

    return run


def check_refused(result, *fragments):
    text = " ".join(result.output.replace("│", " ").split())
    assert result.exit_code == 2, text
    assert "Traceback" not in text
    for fragment in fragments:
        assert fragment in text


def test_runs_and_goes_on(study, command):
    first = command("run", "one", "--seeds", 1, "--arms", "lr")
    assert first.exit_code == 0, first.output
    assert [run.status for run in study.results("one").runs] == ["finished"]
    second = command("run", "one", "--seeds", 1)
    assert "finished before" in second.output
    assert len(study.results("one").runs) == 2
    listed = command("list").output
    assert "2 of 2 runs, 2 epochs" in listed
    assert "not run" in listed


def test_shortened_runs_have_a_folder_of_their_own(study, command):
    result = command("run", "one", "--seeds", 1, "--arms", "lr", "--epochs", 1)
    assert result.exit_code == 0, result.output
    [folder] = (study.folder / "results").iterdir()
    assert folder.name == "one-1-epochs"
    assert study.results("one").manifest["config"]["epochs"] == 1


def test_out_and_seeds(command, tmp_path):
    result = command(
        *("run", "one", "--seeds", 1, "--first-seed", 7, "--arms", "lr"),
        *("--epochs", 1, "--out", tmp_path / "here"),
    )
    assert result.exit_code == 0, result.output
    assert read_results(tmp_path / "here").manifest["seeds"] == [7]


def test_measures(study, command):
    result = command("run", "answer", "--seeds", 3)
    assert result.exit_code == 0, result.output
    content = study.measured("answer")
    assert content["measured"] == {"answer": 42, "seeds": 3}
    assert content["versions"]["keras"]


def test_pages(study, command):
    page = study.folder / "README.md"
    page.parent.mkdir()
    page.write_text(
        "# Title\n<!-- table: names -->\nold\n<!-- end of table -->\nend\n"
    )
    full = dataclasses.replace(
        study,
        tables={"names": lambda study: "| one |\n"},
        figures={"nothing.png": lambda study: None},
    )
    result = CliRunner().invoke(make_app(full), ["pages"])
    assert result.exit_code == 0, result.output
    assert page.read_text() == (
        "# Title\n<!-- table: names -->\n| one |\n<!-- end of table -->\nend\n"
    )
    assert not (study.folder / "figures").exists()
    # A page that asks for a table nobody makes.
    check_refused(command("pages"), "disagree about tables")


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (["nothing"], ["Expected one of ['one', 'other'", "nothing"]),
        (["one", "--arms", "gbn"], ["`arms`", "gbn"]),
        (["one", "--seeds", "0"], ["`seeds`"]),
        (["one", "--epochs", "-1"], ["`epochs`"]),
        (["one", "other", "--out", "x"], ["`out`", "one NAME"]),
        (["other"], ["'mnist' is not prepared", "lbreg data prepare mnist"]),
        (["one", "--dataset", "no.npz"], ["an .npz file that exists"]),
        (["wrong"], ["`seeds`"]),
    ],
    ids=lambda words: " ".join(words),
)
def test_bad_input(command, words, fragments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_refused(command("run", *words), *fragments)


def test_damaged_results_are_left_alone(study, command):
    folder = study.path("one")
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{")
    check_refused(
        command("run", "one"), "not valid JSON", "Nothing was changed"
    )
    check_refused(command("list"), "not valid JSON")
    assert (folder / "manifest.json").read_text() == "{"


def test_a_damaged_measurement_is_named(study, command):
    folder = study.path("answer")
    folder.mkdir(parents=True)
    (folder / "measurement.json").write_text("[]")
    check_refused(command("list"), "measurement.json")
    assert json.loads((folder / "measurement.json").read_text()) == []
