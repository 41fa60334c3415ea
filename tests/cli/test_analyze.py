"""`lbreg analyze` on saved models: what it finds, keeps and refuses."""

import json

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

import keras_lbreg
from keras_lbreg.analysis import hessian_top_eigenvalue, sharpness
from keras_lbreg.cli.app import app
from tests.cli.test_bad_input import check_panel

COMMANDS = ("sharpness", "hessian", "noise-scale", "interpolate")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(160, 4)).astype("float32")
Y = (X[:, 0] > 0).astype("int32") + (X[:, 1] > 0)
LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
SHORT = ("--small-batch", 8, "--big-batch", 32, "--pairs", 5)


def network(seed=0, activation=None, features=4, classes=3):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((features,)),
            keras.layers.Dense(5, activation="relu"),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.Dense(classes, activation=activation),
        ]
    )


def trained(loss=LOGITS, **arguments):
    model = network(**arguments)
    model.compile(keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    model.fit(X[:100], Y[:100], batch_size=20, epochs=5, verbose=0)
    return model


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two trained models and their data."""
    folder = tmp_path_factory.mktemp("models")
    np.savez(
        folder / "data.npz",
        x_train=X[:100],
        y_train=Y[:100],
        x_val=X[100:],
        y_val=Y[100:],
    )
    for seed, name in enumerate(("small", "large")):
        trained(seed=seed).save(folder / f"{name}.keras")
    return folder


@pytest.fixture
def lbreg(files, tmp_path, monkeypatch):
    """Runs `lbreg analyze` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "500")

    def run(command, *words, data=files / "data.npz"):
        words = [
            files / w if w in ("small.keras", "large.keras") else w
            for w in words
        ]
        words = ["analyze", command, *words, "--data", data]
        return CliRunner().invoke(app, [str(word) for word in words])

    return run


def finished(result):
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def records(folder, name):
    content = json.loads((folder / f"{name}.json").read_text())
    assert content["analysis"] == name
    assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    return content["records"]


def test_sharpness_of_two_models(lbreg, files, tmp_path):
    text = finished(lbreg("sharpness", "small.keras", "large.keras"))
    found = records(tmp_path / "runs/analyze-small-large", "sharpness")
    assert len(found) == 4
    model = keras.saving.load_model(files / "large.keras")
    for record, epsilon in zip(found[1::2], (1e-3, 5e-4), strict=True):
        expected = sharpness(model, X[:100], Y[:100], epsilon=epsilon)
        assert record["result"]["sharpness"] == pytest.approx(
            expected.sharpness, rel=1e-3
        )
        assert record["models"][0]["file"] == "large.keras"
        assert record["data"]["samples"] == 100
        assert record["settings"]["epsilon"] == epsilon
        assert record["environment"]["versions"]["keras"] == keras.__version__
    loss, accuracy = model.evaluate(X[:100], Y[:100], verbose=0)
    assert found[1]["result"]["loss"] == pytest.approx(loss, rel=1e-4)
    assert found[1]["result"]["accuracy"] == pytest.approx(accuracy)
    assert "logits (as the model is compiled)" in text
    assert "ε = 0.0005 the loss rises from" in text
    assert "Dinh et al." in text


def test_hessian_of_some_validation_samples(lbreg, files, tmp_path):
    words = ("small.keras", "--split", "val", "--samples", 9999)
    text = finished(lbreg("hessian", *words))
    (record,) = records(tmp_path / "runs/analyze-small", "hessian")
    model = keras.saving.load_model(files / "small.keras")
    expected = hessian_top_eigenvalue(model, X[100:], Y[100:]).eigenvalue
    found = record["result"]["eigenvalue"]
    assert found == pytest.approx(expected, rel=1e-3)
    assert f"2/λ = {2 / found:.3g}" in text
    finished(lbreg("hessian", *words[:-1], 7))
    assert (
        records(tmp_path / "runs/analyze-small", "hessian")[1]["data"][
            "samples"
        ]
        == 7
    )


def test_noise_scale(lbreg, tmp_path):
    text = finished(lbreg("noise-scale", "small.keras", *SHORT))
    (record,) = records(tmp_path / "runs/analyze-small", "noise-scale")
    found = record["result"]
    assert found["small_batch"] == 8
    if found["noise_scale"] is not None:
        assert f"about {found['noise_scale']:,.0f} samples" in text
    assert "160 drawn of 100" in text


def test_interpolate(lbreg, files, tmp_path):
    words = ("small.keras", "large.keras", "--statistics", "interpolate")
    text = finished(lbreg("interpolate", *words, "--points", 7))
    (record,) = records(tmp_path / "runs/analyze-small-large", "interpolate")
    found = record["result"]
    assert found["positions"] == [-1, -0.5, 0, 0.5, 1, 1.5, 2]
    for name, at in (("small", 2), ("large", 4)):
        model = keras.saving.load_model(files / f"{name}.keras")
        loss, accuracy = model.evaluate(X[100:], Y[100:], verbose=0)
        assert found["loss"]["val"][at] == pytest.approx(loss, rel=1e-4)
        assert found["accuracy"]["val"][at] == pytest.approx(accuracy)
    assert "small (a = 0): training loss" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_a_result_is_computed_once(lbreg, tmp_path, command):
    short = {
        "sharpness": ("--iterations", 1, "--epsilon", 0.01),
        "hessian": ("--tolerance", 0.1),
        "noise-scale": SHORT,
        "interpolate": ("--points", 3),
    }
    words = ["small.keras", "large.keras", "--out", "out", *short[command]]
    finished(lbreg(command, *words))
    file = tmp_path / "out" / f"{command}.json"
    before = file.read_bytes()
    text = finished(lbreg(command, *words))
    assert "computed before" in text
    assert file.read_bytes() == before
    assert "computed before" not in finished(lbreg(command, *words, "--fresh"))


def test_interrupted_after_the_first_model(lbreg, tmp_path, monkeypatch):
    from keras_lbreg.analysis.saved import measure

    whole = measure.hessian_top_eigenvalue
    calls = []

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(*arguments, **options)

    monkeypatch.setattr(measure, "hessian_top_eigenvalue", interrupted)
    words = ("hessian", "small.keras", "large.keras", "--out", "out")
    result = lbreg(*words)
    assert result.exit_code == 130
    assert "same command again" in result.output
    text = finished(lbreg(*words))
    assert "[1/2] small, accuracy" in text
    assert text.count("computed before") == 1
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("activation", "kind"),
    [(None, "logits"), ("softmax", "probabilities")],
)
def test_a_model_that_is_not_compiled(lbreg, tmp_path, activation, kind):
    model = network(activation=activation)
    model.save("plain.keras")
    text = finished(lbreg("hessian", "plain.keras"))
    assert f"crossentropy of {kind} (assumed" in text
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(
            from_logits=activation is None
        )
    )
    (record,) = records(tmp_path / "runs/analyze-plain", "hessian")
    expected = model.evaluate(X[:100], Y[:100], verbose=0)
    assert record["result"]["loss"] == pytest.approx(expected, rel=1e-4)


def test_a_model_trained_on_one_hot_labels(lbreg):
    model = network(activation="softmax")
    model.compile(loss="categorical_crossentropy")
    model.save("hot.keras")
    text = finished(lbreg("hessian", "hot.keras"))
    assert "of probabilities (as the model is compiled)" in text


def test_models_of_the_techniques_count_as_their_plain_network(lbreg, tmp_path):
    model = trained(seed=2)
    ghosts = keras_lbreg.apply_ghost_batch_norm(model, ghost_batch_size=10)
    ghosts.compile("sgd", LOGITS)
    both = keras_lbreg.apply_dreg(ghosts, layer="dense", weight=0.1)
    both.compile("sgd", LOGITS)
    both.fit(X[:100], Y[:100], verbose=0)
    plain = keras_lbreg.strip_ghost_batch_norm(keras_lbreg.strip_dreg(both))
    plain.compile("sgd", LOGITS)
    ghosts.save("ghosts.keras")
    both.save("both.keras")
    plain.save("plain.keras")
    names = ("both.keras", "plain.keras", "ghosts.keras")
    text = finished(lbreg("hessian", *names, "--out", "out"))
    assert "without the path of DReg that is not active" in text
    found = records(tmp_path / "out", "hessian")
    assert {record["models"][0]["parameters"] for record in found} == {
        plain.count_params() - 10
    }
    values = [record["result"]["eigenvalue"] for record in found]
    assert values[0] == pytest.approx(values[1], rel=1e-3)


def test_a_subclassed_model(lbreg, tmp_path):
    @keras.saving.register_keras_serializable(package="tests")
    class Classifier(keras.Model):
        def __init__(self, **arguments):
            super().__init__(**arguments)
            self.dense = keras.layers.Dense(3)

        def call(self, x):
            return self.dense(x)

        def build(self, shape):
            self.dense.build(shape)

    model = Classifier()
    model.compile("sgd", LOGITS)
    model.fit(X[:100], Y[:100], verbose=0)
    model.save("own.keras")
    finished(lbreg("hessian", "own.keras"))
    (record,) = records(tmp_path / "runs/analyze-own", "hessian")
    expected = hessian_top_eigenvalue(model, X[:100], Y[:100]).eigenvalue
    assert record["result"]["eigenvalue"] == pytest.approx(expected, rel=1e-3)
    result = lbreg("interpolate", "own.keras", "own.keras")
    check_panel(result, "own.keras", "Functional or Sequential")


def test_names_of_files_in_several_folders(lbreg, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        network(seed=len(folder)).save(tmp_path / folder / "model.keras")
    text = finished(lbreg("hessian", "a/model.keras", "b/model.keras"))
    assert "a/model: largest eigenvalue" in text
    assert (tmp_path / "runs/analyze-a-model-b-model/hessian.png").exists()


BOTH = ("small.keras", "large.keras")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_is_not_there(lbreg, command):
    result = lbreg(command, "small.keras", "nosuch.keras")
    check_panel(result, "nosuch.keras", "lbreg train --out")


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (["sharpness", *BOTH, "--epsilon", 0], ["epsilon", "above 0"]),
        (["sharpness", *BOTH, "--subspace", 999], ["subspace", "999"]),
        (["sharpness", *BOTH, "--iterations", 0], ["iterations", "above 0"]),
        (["sharpness", *BOTH, "--samples", 0], ["samples=0", "above 0"]),
        (["hessian", *BOTH, "--split", "test"], ["'test'", "'val'"]),
        (["hessian", *BOTH, "--tolerance", -1], ["tolerance"]),
        (["noise-scale", *BOTH, "--pairs", 0], ["pairs=0"]),
        (["noise-scale", *BOTH, "--small-batch", 90], ["big_batch"]),
        (["noise-scale", *BOTH, "--samples", 3], ["big_batch", "3 samples"]),
        (["interpolate", *BOTH, "--from", 3], ["--from 3", "smaller a"]),
        (["interpolate", *BOTH, "--points", 1], ["--points 1"]),
        (["interpolate", *BOTH, "--statistics", "x"], ["statistics='x'"]),
        (["interpolate", *BOTH, "small.keras"], ["unexpected extra"]),
        (["hessian"], ["Missing argument"]),
    ],
    ids=lambda value: "-".join(str(v) for v in value),
)
def test_options_out_of_their_range(lbreg, words, fragments):
    check_panel(lbreg(*words), *fragments)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_model_of_another_input_shape(lbreg, command):
    network(features=7).save("wide.keras")
    result = lbreg(command, "wide.keras", "wide.keras")
    check_panel(result, "wide.keras", "(7,)", "(4,)")


def test_models_that_do_not_fit(lbreg, tmp_path):
    network(classes=2).save("few.keras")
    check_panel(lbreg("hessian", "few.keras"), "few.keras", "3 classes")
    model = network()
    model.compile("sgd", "mse")
    model.save("mse.keras")
    check_panel(
        lbreg("hessian", "mse.keras"), "mse.keras", "categorical_crossentropy"
    )
    inputs = keras.Input((4,))
    dense = keras.layers.Dense(3)
    keras.Model(inputs, [dense(inputs), inputs]).save("two.keras")
    check_panel(lbreg("hessian", "two.keras"), "two.keras", "several outputs")
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    other.save("other.keras")
    result = lbreg("interpolate", "small.keras", "other.keras")
    check_panel(result, "same architecture", "other.keras")


def test_files_that_are_no_models(lbreg, tmp_path):
    (tmp_path / "text.keras").write_text("no archive")
    check_panel(lbreg("hessian", "text.keras"), "Cannot load text.keras")
    (tmp_path / "model.h5").write_text("")
    check_panel(lbreg("hessian", "model.h5"), "model.h5", "ends in .keras")


def test_a_class_that_is_not_known_here(lbreg, tmp_path):
    class Unknown(keras.layers.Layer):
        def call(self, x):
            return x

    keras.Sequential([keras.Input((4,)), Unknown()]).save("unknown.keras")
    check_panel(
        lbreg("hessian", "unknown.keras"),
        "Cannot load unknown.keras",
        "Unknown",
        "keras_lbreg.analysis",
    )


def test_a_dataset_that_is_not_there(lbreg, tmp_path):
    result = lbreg("hessian", "small.keras", data="nosuch.npz")
    check_panel(result, "nosuch.npz", "exists")
    result = lbreg(
        "hessian", "small.keras", "--data-dir", tmp_path, data="mnist"
    )
    check_panel(result, "lbreg data prepare mnist")


def test_a_diverged_model(lbreg):
    model = network()
    model.set_weights([w * np.nan for w in model.get_weights()])
    model.save("nan.keras")
    for command in ("sharpness", "hessian"):
        result = lbreg(command, "nan.keras")
        check_panel(result, "nan.keras", "not finite")


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": 1}', None])
def test_corrupt_results(lbreg, tmp_path, content):
    words = ("hessian", "small.keras", "--out", "out")
    file = tmp_path / "out" / "hessian.json"
    if content is None:
        finished(lbreg(*words))
        content = file.read_text().replace('"eigenvalue"', '"value"')
    file.parent.mkdir(exist_ok=True)
    file.write_text(content)
    check_panel(lbreg(*words), "hessian.json")
    assert file.read_text() == content
    finished(lbreg(*words, "--fresh"))
