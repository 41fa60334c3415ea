"""Saved models on a workload: what is measured, kept, said and refused."""

import json

import keras
import numpy as np
import pytest

from keras_lbreg.analysis.measures import MEASURES
from keras_lbreg.analysis.report import analyze, analyze_interpolation
from keras_lbreg.plot_style import Plot
from keras_lbreg.schedules.regime import Regime
from keras_lbreg.workloads.workload import Workload


def build_classifier(units=3, compiled=True, activation=None):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(5, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(units, activation=activation),
        ]
    )
    if compiled:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss, metrics=["accuracy"])
    return model


def build_two():
    keras.utils.set_random_seed(0)
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    joined = keras.layers.Concatenate()([a, b])
    outputs = {
        "p": keras.layers.Dense(1, name="p")(joined),
        "q": keras.layers.Dense(1, name="q")(joined),
    }
    model = keras.Model({"a": a, "b": b}, outputs)
    model.compile(
        "adam", {"p": "mse", "q": "mae"}, loss_weights={"p": 1.0, "q": 0.5}
    )
    return model


def classification():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(96, 4)).astype("float32")
    y = rng.integers(3, size=96)
    return Workload(
        build_classifier, (x, y), (x[:40], y[:40]), Regime(8, 0.1, epochs=1)
    )


def regression():
    rng = np.random.default_rng(0)

    def part(n):
        x = {"a": rng.normal(size=(n, 3)), "b": rng.normal(size=(n, 2))}
        y = {"p": rng.normal(size=(n, 1)), "q": rng.normal(size=(n, 1))}
        return x, y

    return Workload(build_two, part(64), part(16), Regime(8, 0.1, epochs=1))


def save(path, model, scale=1.0):
    model.set_weights([scale * w for w in model.get_weights()])
    model.save(path)
    return path


QUICK = {"epsilons": (1e-3,), "iterations": 2, "small_batch": 8, "pairs": 2}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return [
        save(folder / "small.keras", build_classifier()),
        save(folder / "large.keras", build_classifier(), 1.5),
    ]


def test_everything_of_two_models(files, tmp_path):
    seen, lines = [], []
    found = analyze(
        files,
        classification(),
        samples=64,
        out=tmp_path,
        on_progress=lambda *step: seen.append(step),
        on_result=lines.append,
        **QUICK,
    )
    assert len(lines) == 6
    assert {unit for *_, unit in seen} == {
        "evaluations",
        "Hessian-vector products",
        "big batches",
    }
    names = {path.name for path in tmp_path.iterdir()} - {".lock"}
    measures = ("sharpness", "hessian", "noise")
    files = {f"{m}.{end}" for m in measures for end in ("json", "png")}
    assert names == {*files, "report.html"}
    table = found.table()
    assert "sharpness, ε = 0.001" in table
    assert table.count("\n") == 4
    assert any("2/λ" in line for line in found.words())
    page = found.report_path.read_text("utf-8")
    assert "large" in page
    assert page.count("<svg") == 3
    assert found.records["noise"][0]["data"]["samples"] == 64
    assert found.records["noise"][0]["result"]["big_batch"] == 64


def test_a_second_call_computes_nothing_anew(files, tmp_path):
    def call(**changes):
        lines = []
        arguments = {**QUICK, "out": tmp_path, "on_result": lines.append}
        analyze(
            files[:1],
            classification(),
            "sharpness",
            **{**arguments, **changes},
        )
        return ["computed before" in line for line in lines]

    assert call() == [False]
    assert call(epsilons=(1e-3, 5e-4)) == [True, False]
    assert call(fresh=True) == [False]
    file = tmp_path / "sharpness.json"
    content = json.loads(file.read_text())
    content["records"][0].pop("settings")
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="does not hold results of"):
        call()
    assert json.loads(file.read_text()) == content


def test_the_line_through_two_models(files, tmp_path):
    found = analyze_interpolation(
        *files, classification(), points=4, samples=50, out=tmp_path
    )
    (record,) = found.records["interpolate"]
    assert record["result"]["positions"] == [-1, 0, 1, 2]
    assert found.table().count("\n") == 6
    assert "small (a = 0): training loss" in " ".join(found.words())
    assert found.report_path.read_text("utf-8").count("<svg") == 2


def test_several_inputs_and_losses(tmp_path):
    files = [
        save(tmp_path / "one.keras", build_two()),
        save(tmp_path / "two.keras", build_two(), 2.0),
    ]
    found = analyze(
        files[:1],
        regression(),
        ("hessian", "noise"),
        out=tmp_path / "out",
        **QUICK,
    )
    assert "accuracy" not in found.table()
    x, y = regression().train_data
    expected = build_two().evaluate(x, y, verbose=0, return_dict=True)["loss"]
    for measure in ("noise", "hessian"):
        result = found.records[measure][0]["result"]
        assert result["loss"] == pytest.approx(expected, rel=1e-5)
    line = analyze_interpolation(
        *files, regression(), points=2, start=0, end=1, out=tmp_path / "line"
    )
    assert line.records["interpolate"][0]["result"]["loss"]["train"][0] == (
        pytest.approx(expected, rel=1e-5)
    )


@pytest.mark.parametrize(
    ("activation", "words"),
    [(None, "do not add up to 1"), ("softmax", "outputs add up to 1")],
)
def test_the_loss_of_a_model_that_is_not_compiled(tmp_path, activation, words):
    model = build_classifier(compiled=False, activation=activation)
    file = save(tmp_path / "m.keras", model)
    found = analyze(file, classification(), "sharpness", out=tmp_path, **QUICK)
    assert words in found.models[0]["notes"][0]


def test_what_is_refused(files, tmp_path):
    def call(message, paths=files, **arguments):
        with pytest.raises(ValueError, match=message):
            analyze(paths, classification(), out=tmp_path / "o", **arguments)
        assert not (tmp_path / "o").exists()

    broken = tmp_path / "broken.keras"
    broken.write_bytes(files[0].read_bytes()[:100])
    other = save(tmp_path / "other.keras", build_classifier(2))
    call("argument `what`", what="flatness")
    call("argument `split`", split="test")
    call("argument `paths`", paths=["nowhere.keras"])
    call("it is no archive", paths=[broken])
    call("for each of the 3 classes, received 2", paths=[other])
    call("argument `epsilons`", epsilons=(-1,))
    call("argument `big_batch`", small_batch=90)


def record(name="m", result=None, **settings):
    return {
        "models": [{"name": name}],
        "data": {"samples": 1000},
        "settings": settings,
        "result": result,
    }


def sharp(name, sharpness, loss=0.5, subspace=None):
    result = {"sharpness": sharpness, "loss": loss, "largest_loss": 2 * loss}
    return record(name, result, epsilon=1e-3, subspace=subspace)


def line(loss, positions=(-1, -0.5, 0, 0.5, 1, 1.5, 2)):
    curves = {"train": list(loss), "val": list(loss)}
    both = record("small", {"positions": positions, "loss": curves})
    both["models"].append({"name": "large"})
    return [both]


def noise(middle, low, high, pairs=4):
    return record(
        result={
            "noise_scale": middle,
            "low": low,
            "high": high,
            "big_batch": 128,
            "pairs": pairs,
            "loss": 1.0,
        }
    )


@pytest.mark.parametrize(
    ("measure", "records", "words"),
    [
        (
            "sharpness",
            [sharp("small", 2.0), sharp("large", 9.0)],
            "large is 4.5 times as sharp as small.",
        ),
        ("sharpness", [sharp("a", 2.0), sharp("b", 2.05)], "equally sharp"),
        ("sharpness", [sharp("a", 2, subspace=7)], "in 7 random directions"),
        (
            "sharpness",
            [sharp("small", 1.0, 0.01), sharp("large", 9.0, 0.2)],
            "loss of large is 0.2, that of small 0.01",
        ),
        (
            "hessian",
            [record(result={"eigenvalue": 4.0, "loss": 1.0})],
            "2/λ = 0.5, with momentum 0.9 up to 0.95",
        ),
        (
            "hessian",
            [record(result={"eigenvalue": -1.0, "loss": 1.0})],
            "no minimum",
        ),
        ("noise", [noise(1234.5, 900.0, 2000.0)], "1,234 samples (900 to"),
        ("noise", [noise(None, 70.0, None, 10)], "(1,280 drawn of 1,000)"),
        ("interpolate", line([3, 1, 0.1, 2, 0.2, 4, 9]), "to 2: a barrier"),
        ("interpolate", line([3, 1, 0.1, 2, 0.2, 4, 9]), "side of small"),
        ("interpolate", line([9, 4, 0.2, 0.15, 0.1, 1, 3]), "no barrier"),
        ("interpolate", line([9, 4, 0.2, 0.15, 0.1, 1, 3]), "side of large"),
        ("interpolate", line([3, 1, 0.1, 0.1, 0.1, 1, 3]), "flat on both"),
    ],
)
def test_what_the_numbers_mean(measure, records, words):
    assert words in " ".join(MEASURES[measure].words(records))


@pytest.mark.parametrize(
    "records",
    [
        line([None, None, 0.2, 0.15, 0.1, 1, 3]),
        line([3, 1, 2], positions=(0.3, 0.5, 0.8)),
    ],
)
def test_a_line_of_which_little_is_known(records):
    assert "the valley is" not in " ".join(
        MEASURES["interpolate"].words(records)
    )


@pytest.mark.parametrize(
    ("measure", "records"),
    [
        ("hessian", [record(result={"eigenvalue": 900.0})]),
        (
            "hessian",
            [record(result={"eigenvalue": v}) for v in (0.001, 900.0)],
        ),
        ("noise", [noise(None, 70.0, None), noise(0.0, 0.0, 2000.0)]),
        ("interpolate", line([None, None, 0.2, 0.15, 0.1, 1, 3])),
    ],
)
def test_extreme_numbers_are_drawn(measure, records):
    panels = tuple(MEASURES[measure].panels(records))
    plot = Plot(measure, "", panels, "")
    assert plot.png().startswith(b"\x89PNG")
