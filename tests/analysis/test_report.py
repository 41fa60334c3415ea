"""Saved models on a workload: what is measured, kept, said and refused."""

import json

import keras
import numpy as np
import pytest

from keras_lbreg.analysis.measures import MEASURES
from keras_lbreg.analysis.report import analyze
from keras_lbreg.plot_style import Plot
from keras_lbreg.schedules.regime import Regime
from keras_lbreg.workloads.workload import Workload


def build_classifier(units=3, compiled=True):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(5, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(units),
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


QUICK = {
    "sharpness": {"epsilon": 1e-3, "iterations": 2},
    "noise": {"small_batch": 8, "pairs": 2},
}
LINE = {"interpolation": {"points": 7}}


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
        MEASURES,
        {**QUICK, **LINE},
        samples=64,
        out=tmp_path,
        on_progress=lambda *step: seen.append(step),
        on_result=lines.append,
    )
    assert len(lines) == 7
    assert "[7/7] Interpolation of small to large, in " in lines[-1]
    assert {unit for *_, unit in seen} == {m.unit for m in MEASURES.values()}
    names = {path.name for path in tmp_path.iterdir()} - {".lock"}
    plots = {f"{measure}.png" for measure in MEASURES}
    assert names == {*plots, "manifest.json", "report.html"}
    heading, _, *rows = found.table().splitlines()
    for column in ("accuracy", "sharpness, ε = 0.001", "2/λ", "B_simple"):
        assert column in heading
    assert len(rows) == 2
    assert any("From small (a = 0) to large" in line for line in found.notes())
    page = found.report_path.read_text("utf-8")
    assert "large" in page
    # The line has a panel of the loss and one of the accuracy.
    assert page.count("<svg") == 5
    [noise, _] = found.groups["noise"]
    assert noise["data"][0]["samples"] == 64
    assert noise["result"]["big_batch"] == 64
    [line] = found.groups["interpolation"]
    assert line["result"]["positions"] == [-1, -0.5, 0, 0.5, 1, 1.5, 2]


def test_a_second_call_computes_nothing_anew(files, tmp_path):
    def call(epsilon=1e-3, **changes):
        lines = []
        analyze(
            files[:1],
            classification(),
            "sharpness",
            {"sharpness": {"epsilon": epsilon, "iterations": 2}},
            out=tmp_path,
            on_result=lines.append,
            **changes,
        )
        return ["computed before" in line for line in lines]

    assert call() == [False]
    assert call(epsilon=(1e-3, 5e-4)) == [True, False]
    assert call(fresh=True) == [False]
    file = tmp_path / "manifest.json"
    for changes, message in (
        ({"records": {"key": {}}}, "does not hold results"),
        ({"schema": 2}, "does not hold results"),
        ({"command": "compare"}, "belongs to `compare`"),
    ):
        content = {**json.loads(file.read_text()), **changes}
        file.write_text(json.dumps(content))
        with pytest.raises(ValueError, match=message):
            call(fresh="command" in changes)
        assert json.loads(file.read_text()) == content


def test_several_inputs_and_losses(tmp_path):
    files = [
        save(tmp_path / "one.keras", build_two()),
        save(tmp_path / "two.keras", build_two(), 2.0),
    ]
    found = analyze(
        files,
        regression(),
        ("hessian", "interpolation"),
        {"interpolation": {"points": 2, "start": 0, "end": 1}},
        out=tmp_path / "out",
    )
    assert "accuracy" not in found.table()
    x, y = regression().train_data
    expected = build_two().evaluate(x, y, verbose=0, return_dict=True)["loss"]
    assert found.models[0]["fit"] == {"loss": pytest.approx(expected, rel=1e-5)}
    [line] = found.groups["interpolation"]
    assert line["result"]["loss"]["training"][0] == (
        pytest.approx(expected, rel=1e-5)
    )


def test_a_model_that_is_not_compiled_has_the_workload_s_loss(tmp_path):
    file = save(tmp_path / "m.keras", build_classifier(compiled=False))
    found = analyze(file, classification(), "hessian", out=tmp_path)
    [note] = found.models[0]["notes"]
    assert note == "loss: sparse_categorical_crossentropy (the workload's)"
    assert found.models[0]["fit"].keys() == {"loss", "accuracy"}


def test_what_is_refused(files, tmp_path):
    def call(message, paths=files, what="noise", **arguments):
        with pytest.raises(ValueError, match=message):
            analyze(
                paths, classification(), what, out=tmp_path / "o", **arguments
            )
        assert not (tmp_path / "o").exists()

    broken = tmp_path / "broken.keras"
    broken.write_bytes(files[0].read_bytes()[:100])
    other = save(tmp_path / "other.keras", build_classifier(2))
    diverged = save(tmp_path / "nan.keras", build_classifier(), np.nan)
    call("argument `what`", what="flatness")
    call("argument `what`", what=())
    call("two models.*Received: 1", paths=files[:1], what="interpolation")
    call("argument `split`", split="test")
    call("argument `paths`", paths=["nowhere.keras"])
    call("argument `paths`", paths=[])
    call("broken.keras', which is no such file", paths=[broken])
    call("for each of the 3 classes, received 2", paths=[other])
    call("its loss there is nan", paths=[diverged])
    call("'pairs'.*'pears'", settings={"noise": {"pears": 2}})
    call("argument `big_batch`", settings={"noise": {"small_batch": 90}})


def record(name="m", result=None, loss=0.5, **settings):
    return {
        "models": [{"name": name, "fit": {"loss": loss}}],
        "data": [{"samples": 1000}],
        "settings": settings,
        "result": result,
    }


def line(loss, positions=(-1, -0.5, 0, 0.5, 1, 1.5, 2)):
    curves = {"training": list(loss), "validation": list(loss)}
    both = record("small", {"positions": positions, "loss": curves})
    both["models"].append({"name": "large"})
    return [both]


def noise(value, low, high, pairs=4):
    result = {"noise_scale": value, "low": low, "high": high}
    return record(result={**result, "big_batch": 128, "pairs": pairs})


@pytest.mark.parametrize(
    ("measure", "records", "words"),
    [
        ("sharpness", [record(), record()], []),
        (
            "hessian",
            [record("small", loss=0.01), record("large", loss=0.2)],
            ["loss of large is 0.2, that of small 0.01"],
        ),
        ("noise", [noise(1.0, 0.5, 2.0)], []),
        ("noise", [noise(None, 70.0, None, 10)], ["1,280 drawn of 1,000"]),
        (
            "interpolation",
            line([3, 1, 0.1, 2, 0.2, 4, 9]),
            ["from 0.1 to 0.2; its largest value on the way is 2, at a = 0.5"],
        ),
        ("interpolation", line([None] * 7), []),
        ("interpolation", line([3, 1, 2], positions=(1.3, 1.5, 1.8)), []),
    ],
)
def test_what_has_to_be_known(measure, records, words):
    notes = MEASURES[measure].notes(records)
    assert len(notes) == len(words)
    for note, expected in zip(notes, words, strict=True):
        assert expected in note.replace("goes from", "from")


def test_numbers_that_do_not_exist_have_signs():
    cells = MEASURES["noise"].cells(noise(None, 70.0, None))
    assert list(cells.values()) == ["∞", "70 to ∞"]
    cells = MEASURES["hessian"].cells(record(result={"eigenvalue": -1.0}))
    assert list(cells.values()) == ["-1.00", "–"]


@pytest.mark.parametrize(
    ("measure", "records"),
    [
        ("hessian", [record(result={"eigenvalue": 900.0})]),
        (
            "hessian",
            [record(result={"eigenvalue": v}) for v in (-1.0, 900.0)],
        ),
        ("noise", [noise(None, None, None), noise(0.0, 0.0, 2000.0)]),
        ("interpolation", line([None, None, 0.2, 0.15, 0.1, 1, 3])),
    ],
)
def test_extreme_numbers_are_drawn(measure, records):
    panels = tuple(MEASURES[measure].panels(records))
    plot = Plot(name="a", title="", caption="", panels=panels, setting="")
    assert plot.png().startswith(b"\x89PNG")
