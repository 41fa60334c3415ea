"""`python -m recipes.NAME`: runs, resumes, measures, refuses bad input."""

import dataclasses
import functools
import json

import pytest
from typer.testing import CliRunner

from keras_lbreg.comparison import read_results
from recipes import networks
from recipes.study.command_line import make_app
from recipes.study.comparison import Comparison
from recipes.study.recipe import Recipe
from recipes.study.study import Measurement, Study
from tests.recipes.studies import study_of

RECIPE = Recipe(
    name="test/tiny",
    network=functools.partial(networks.fully_connected, widths=(16,)),
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


# The cheapest command of each recipe, shortened to an epoch.
@pytest.mark.parametrize(
    ("name", "part", "arm"),
    [
        ("gradient_mix_2023", "lars_mix", "mix_k8_c0p3"),
        ("gradient_mix_2023", "adam_rate", "rate_0p01"),
        ("hoffer_2017", "digits", "lr_gbn"),
        ("jaiswal_taura", "digits_b512_x01", "lr_noise"),
        ("together", "digits_screen", "linear_half_gbn_noise_dreg_mix"),
        ("together", "digits_confirm", "sqrt_warmup"),
        ("yuan_2020", "digits_batch_1024", "dreg_split"),
    ],
)
def test_an_epoch_of_each_recipe(name, part, arm, tmp_path):
    if name == "together" and part == "digits_screen":
        comparison = study_of(name).get(part)
        arm = next(a for a in comparison.arms if a.endswith("noise_dreg_mix"))
    words = ["run", part, "--epochs", 1, "--seeds", 1, "--arms", arm]
    words += ["--out", tmp_path]
    app = make_app(study_of(name))
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    [run] = read_results(tmp_path).runs
    assert (run.arm, run.status) == (arm, "finished")
    assert run.seed == study_of(name).get(part).first_seed


def test_runs_and_goes_on(study, command):
    first = command("run", "one", "--seeds", 1, "--arms", "lr")
    assert first.exit_code == 0, first.output
    [before] = study.results("one").runs
    second = command("run", "one", "--seeds", 1)
    assert second.exit_code == 0, second.output
    runs = study.results("one").runs
    assert [run.status for run in runs] == ["finished"] * 2
    assert before in runs
    listed = command("list").output
    assert "2 of 2 runs, 2 epochs" in listed
    assert "not run" in listed


def test_shortened_and_old_results_have_folders_of_their_own(study, command):
    study = dataclasses.replace(
        study,
        comparisons=tuple(
            dataclasses.replace(one, seeds=1) for one in study.comparisons
        ),
    )
    old = study.folder / "results" / "one-1-epochs" / "manifest.json"
    old.parent.mkdir(parents=True)
    recorded = study_of("hoffer_2017").results("digits").manifest
    content = {**recorded, "arms": [], "config": {"epochs": 1, "recipe": None}}
    content = json.dumps({**content, "schema": 1})
    old.write_text(content)
    result = command("run", "one", "--seeds", 1, "--arms", "lr", "--epochs", 1)
    assert result.exit_code == 0, result.output
    folders = {path.name for path in (study.folder / "results").iterdir()}
    assert folders == {"one-1-epochs", "one-1-epochs-schema-2"}
    assert old.read_text() == content
    # With one arm of two, the old ones are still those of the tables.
    assert study.results("one").manifest["schema"] == 1
    result = command("run", "one", "--seeds", 1, "--epochs", 1)
    assert result.exit_code == 0, result.output
    results = study.results("one")
    assert results.path.name == "one-1-epochs-schema-2"
    assert results.manifest["config"]["epochs"] == 1


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
        (["one", "--seeds", "0"], ["--seeds"]),
        (["one", "--epochs", "-1"], ["--epochs"]),
        (["one", "other", "--out", "x"], ["`out`", "one NAME"]),
        (["other"], ["mnist", "lbreg data prepare mnist"]),
        (["one", "--dataset", "no.npz"], ["no.npz"]),
        (["wrong"], ["`seeds`"]),
    ],
    ids=lambda words: " ".join(words),
)
def test_bad_input(command, words, fragments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_refused(command("run", *words), *fragments)


def test_damaged_results_are_left_alone(study, command):
    for name in ("one/manifest.json", "answer/measurement.json"):
        file = study.folder / "results" / name
        file.parent.mkdir(parents=True)
        file.write_text("{")
        check_refused(command("list"), "not valid JSON", "Nothing was changed")
        assert file.read_text() == "{"
        file.unlink()
