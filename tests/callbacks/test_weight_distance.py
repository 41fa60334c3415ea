"""`WeightDistance` against distances computed by hand."""

import csv
import io

import keras
import numpy as np
import pytest
from keras import ops

import keras_lbreg
from tests.checks.replicas import mirrored_strategy


def build_model(optimizer=None, dtype=None, **compile_options):
    keras.utils.set_random_seed(1)
    inner = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, name="deep", dtype=dtype)],
        name="inner",
    )
    model = keras.Sequential(
        [
            keras.Input((4,)),
            inner,
            keras.layers.BatchNormalization(name="norm", dtype=dtype),
            keras.layers.Dense(1, name="head", dtype=dtype),
        ],
        name="net",
    )
    model.compile(
        optimizer or keras.optimizers.SGD(0.05), "mse", **compile_options
    )
    return model


def fit(model, callbacks, epochs=3, batch_size=4, **options):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 4)).astype("float32")
    return model.fit(
        x,
        x.sum(axis=1),
        batch_size=batch_size,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=callbacks,
        **options,
    ).history


def values(model):
    return [
        np.array(ops.convert_to_numpy(v), "float64")
        for v in model.trainable_variables
    ]


def names(model):
    return [v.name for v in model.trainable_variables]


def norm(now, before):
    return sum(
        np.sum((a - b) ** 2) for a, b in zip(now, before, strict=True)
    ) ** (1 / 2)


def test_distance_is_the_norm_of_the_moved_trainable_weights():
    model = build_model()
    origin = values(model)
    distance = keras_lbreg.WeightDistance(per_layer=True)
    history = fit(model, [distance], epochs=2)
    moved = values(model)

    np.testing.assert_allclose(
        history["weight_distance"][-1], norm(moved, origin), rtol=1e-6
    )
    # Moving statistics are no trainable weights: norm has gamma and beta.
    paths = ["inner/deep", "net/norm", "net/head"]
    assert [
        any(layer.endswith(path) for layer in distance.layer_distances)
        for path in paths
    ] == [True] * 3
    for layer, first in zip(distance.layer_distances, (0, 2, 4), strict=True):
        expected = norm(moved[first : first + 2], origin[first : first + 2])
        np.testing.assert_allclose(
            history[f"weight_distance/{layer}"][-1], expected, rtol=1e-6
        )
        assert distance.layer_distances[layer][-1] > 0
    assert distance.updates == [8, 16]
    assert distance.distances == history["weight_distance"]


def test_log_frequency_measures_between_epochs():
    model = build_model()
    distance = keras_lbreg.WeightDistance("log")
    # 32 updates an epoch: every one at first, then about 20 in a decade.
    history = fit(model, [distance], epochs=4, batch_size=1)
    assert distance.updates[:12] == list(range(1, 13))
    assert distance.updates[-1] == 128
    assert set(distance.updates) >= {32, 64, 96, 128}
    assert len(distance.updates) == len(set(distance.updates)) < 45
    ends = [distance.updates.index(32 * (i + 1)) for i in range(4)]
    assert [distance.distances[i] for i in ends] == history["weight_distance"]

    # The measurement after the first update is that of a run of one update.
    # Batch norm makes the first two updates differ, so this can fail.
    short = build_model()
    origin = values(short)
    fit(short, [], epochs=1, batch_size=1, steps_per_epoch=1)
    np.testing.assert_allclose(
        distance.distances[0], norm(values(short), origin), rtol=1e-5
    )


@pytest.mark.parametrize("frequency", ["epoch", "log"])
def test_measuring_does_not_change_training(frequency):
    plain, measured = build_model(), build_model()
    fit(plain, [])
    fit(measured, [keras_lbreg.WeightDistance(frequency)])
    for one, other in zip(values(plain), values(measured), strict=True):
        np.testing.assert_array_equal(one, other)


def test_steps_per_execution_counts_updates():
    model = build_model(steps_per_execution=4)
    distance = keras_lbreg.WeightDistance("log")
    fit(model, [distance], epochs=2)
    assert distance.updates == [4, 8, 12, 16]


def test_a_second_fit_continues_the_first():
    model, distance = build_model(), keras_lbreg.WeightDistance()
    origin = values(model)
    fit(model, [distance], epochs=1)
    history = fit(model, [distance], epochs=1)
    assert distance.updates == [8, 16]
    np.testing.assert_allclose(
        history["weight_distance"][0], norm(values(model), origin), rtol=1e-6
    )


def test_a_trained_model_starts_from_where_it_is():
    model = build_model()
    fit(model, [], epochs=2)
    origin = values(model)
    distance = keras_lbreg.WeightDistance()
    fit(model, [distance], epochs=1)
    assert distance.updates == [8]
    np.testing.assert_allclose(
        distance.distances, [norm(values(model), origin)], rtol=1e-6
    )


@pytest.mark.parametrize("frequency", ["epoch", "log"])
def test_resumed_run_measures_what_an_uninterrupted_one_does(
    frequency, tmp_path
):
    whole = keras_lbreg.WeightDistance(frequency)
    fit(build_model(), [whole], epochs=4)

    model = build_model()
    first = keras_lbreg.WeightDistance(frequency)
    fit(model, [first], epochs=2)
    model.save(tmp_path / "model.keras")
    file = io.BytesIO()
    np.savez(file, **first.get_state())

    file.seek(0)
    resumed = keras_lbreg.WeightDistance(frequency)
    resumed.set_state(np.load(file))
    model = keras.saving.load_model(tmp_path / "model.keras")
    fit(model, [resumed], epochs=4, initial_epoch=2)
    assert resumed.updates == whole.updates
    assert resumed.distances == whole.distances
    assert resumed.layer_distances == whole.layer_distances


def test_rolling_back_drops_the_later_measurements():
    model, distance = build_model(), keras_lbreg.WeightDistance()
    fit(model, [distance], epochs=1)
    weights = model.get_weights()
    step = [np.array(v) for v in model.optimizer.variables]
    fit(model, [distance], epochs=2)
    assert distance.updates == [8, 16, 24]
    expected = list(distance.distances)

    model.set_weights(weights)
    model.optimizer.set_weights(step)
    fit(model, [distance], epochs=1)
    assert distance.updates == [8, 16]
    np.testing.assert_allclose(distance.distances, expected[:2], rtol=1e-6)


def test_log_fit_recovers_the_line():
    updates = np.array([1, 2, 5, 10, 100, 1000])
    distance = keras_lbreg.WeightDistance()
    distance.set_state(
        {
            "iterations": np.array(0),
            "updates": updates,
            "distances": 3.0 * np.log(updates) + 2.0,
            "layers": np.array(["dense"]),
            "layer_distances": np.zeros((1, 6)),
        }
    )
    slope, intercept, r2 = distance.log_fit()
    np.testing.assert_allclose([slope, intercept, r2], [3, 2, 1], atol=1e-9)

    distance.distances[0] = 100.0
    assert distance.log_fit().r2 < 0.9
    np.testing.assert_allclose(distance.log_fit(first_update=2).slope, 3)
    with pytest.raises(ValueError, match="at least two measurements"):
        distance.log_fit(first_update=1000)


def test_second_kernels_of_dreg_layers_are_left_out():
    model = keras.Sequential([keras.Input((4,)), keras_lbreg.DRegDense(1)])
    model.compile(keras.optimizers.SGD(1e-3), "mse")
    origin = dict(zip(names(model), values(model), strict=True))
    default = keras_lbreg.WeightDistance()
    everything = keras_lbreg.WeightDistance(exclude=())
    fit(model, [default, everything], epochs=1)
    moved = {
        name: np.linalg.norm(value - origin[name])
        for name, value in zip(names(model), values(model), strict=True)
    }
    assert moved["kernel_left"] > 0
    np.testing.assert_allclose(
        default.distances, np.hypot(moved["kernel"], moved["bias"]), rtol=1e-6
    )
    np.testing.assert_allclose(
        everything.distances,
        np.hypot(default.distances, moved["kernel_left"]),
        rtol=1e-6,
    )


def test_mixed_precision_under_loss_scaling():
    model = build_model(dtype="mixed_float16")
    model.compile(
        keras.optimizers.LossScaleOptimizer(
            keras.optimizers.SGD(0.01), initial_scale=4.0
        ),
        "mse",
    )
    distance = keras_lbreg.WeightDistance()
    fit(model, [distance], epochs=2)
    assert distance.updates == [8, 16]
    assert 0 < distance.distances[0] < distance.distances[1]


def test_loggers_after_it_record_the_distance(tmp_path):
    path = tmp_path / "log.csv"
    distance = keras_lbreg.WeightDistance()
    fit(build_model(), [distance, keras.callbacks.CSVLogger(path)], epochs=2)
    with open(path) as file:
        rows = list(csv.DictReader(file))
    np.testing.assert_allclose(
        [float(row["weight_distance"]) for row in rows],
        distance.distances,
        rtol=1e-6,
    )


@pytest.mark.tensorflow
def test_mirrored_variables():
    with mirrored_strategy(2).scope():
        model = build_model()
        origin = values(model)
        distance = keras_lbreg.WeightDistance("log")
        fit(model, [distance], epochs=1)
        np.testing.assert_allclose(
            distance.distances[-1], norm(values(model), origin), rtol=1e-6
        )
    assert distance.updates == list(range(1, 9))


def test_a_model_without_weights_is_refused():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    distance = keras_lbreg.WeightDistance()
    if keras.backend.backend() == "jax":
        # JAX builds the model before `fit` tells the callbacks.
        fit(model, [distance], epochs=1)
        assert distance.distances[0] > 0
        return
    with pytest.raises(ValueError, match=r"keras\.Input"):
        fit(model, [distance], epochs=1)


def test_another_set_of_trainable_weights_is_refused():
    model, distance = build_model(), keras_lbreg.WeightDistance()
    fit(model, [distance], epochs=1)
    model.get_layer("inner").trainable = False
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="new `WeightDistance`"):
        fit(model, [distance], epochs=1)


def test_invalid_use_is_explained():
    with pytest.raises(ValueError, match=r"argument `frequency`.*'batch'"):
        keras_lbreg.WeightDistance("batch")
    with pytest.raises(ValueError, match="before the first `fit`"):
        keras_lbreg.WeightDistance().get_state()
    with pytest.raises(ValueError, match="at least two measurements"):
        keras_lbreg.WeightDistance().log_fit()
