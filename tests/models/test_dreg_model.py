import keras
import numpy as np
import pytest

import keras_lbreg
from keras_lbreg.models.dreg_model import (
    dreg_distances,
    get_active_path,
    path_layers,
    plain_class,
    set_active_path,
)
from tests.checks.layer import save_and_load
from tests.checks.variable_gradients import gradients

to_numpy = keras.ops.convert_to_numpy
RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 3)).astype("float32")
Y = RNG.normal(size=(5, 2)).astype("float32")
SAMPLE_WEIGHT = np.array([1.0, 0.0, 2.0, 0.5, 1.0], "float32")


def small_model(path_reduction="sum", **kwargs):
    """x W, then R or L, without biases: everything can be done by hand."""
    kwargs = {"distance": "frobenius", "weight": 0.3, **kwargs}
    inputs = keras.Input((3,))
    h = keras.layers.Dense(4, use_bias=False)(inputs)
    outputs = keras_lbreg.DRegDense(
        2, use_bias=False, init_distance=0.5, paths="both", **kwargs
    )(h)
    return keras_lbreg.DRegModel(inputs, outputs, path_reduction=path_reduction)


def by_hand(weights, factor, sample_weight, penalty_weight=0.3):
    """Eq. 3 with the mean squared error: what is optimised and logged, and
    the gradients of the first."""
    trunk, right, left = (w.astype("float64") for w in weights)
    h = X.astype("float64") @ trunk
    loss = 0.0
    d_trunk = 0.0
    d_paths = []
    for kernel in (right, left):
        error = h @ kernel - Y
        scale = factor * sample_weight[:, None] / error.size
        loss += np.sum(scale * error**2)
        d_outputs = 2 * scale * error
        d_paths.append(h.T @ d_outputs)
        d_trunk = d_trunk + X.T @ (d_outputs @ kernel.T)
    difference = right - left
    logged = loss / (2 * factor)
    loss -= penalty_weight * np.sum(difference**2)
    return (loss, logged), [
        d_trunk,
        d_paths[0] - 2 * penalty_weight * difference,
        d_paths[1] + 2 * penalty_weight * difference,
    ]


@pytest.mark.parametrize(
    ("path_reduction", "factor"), [("sum", 1), ("mean", 0.5)]
)
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_and_gradients_by_hand(path_reduction, factor, weighted):
    model = small_model(path_reduction)
    model.compile("sgd", "mse")
    variables = model.trainable_variables
    sample_weight = SAMPLE_WEIGHT if weighted else np.ones(5)
    (_, expected), expected_gradients = by_hand(
        [to_numpy(v) for v in variables], factor, sample_weight
    )
    # Evaluation takes the right path alone, without a penalty.
    trunk, right, _ = [to_numpy(v) for v in variables]
    errors = np.mean((X @ trunk @ right - Y) ** 2, axis=-1)
    logs = model.test_on_batch(X, Y, sample_weight, return_dict=True)
    assert logs["loss"] == pytest.approx(
        np.mean(errors * sample_weight), rel=1e-5
    )

    def loss():
        if keras.backend.backend() == "jax":
            # As Keras's own step does it: losses are handed over by a scope.
            y_pred, _, losses = model.stateless_call(
                [v.value for v in variables],
                [v.value for v in model.non_trainable_variables],
                X,
                training=True,
                return_losses=True,
            )
            model._losses_override = losses
        else:
            y_pred = model(X, training=True)
        try:
            return model.compute_loss(
                X, Y, y_pred, SAMPLE_WEIGHT if weighted else None
            )
        finally:
            model._losses_override = []

    value, found = gradients(loss, variables)
    assert value == pytest.approx(expected, rel=1e-5)
    for a, b in zip(found, expected_gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_fit_takes_the_steps_computed_by_hand(jit_compile):
    model = small_model()
    model.compile(
        keras.optimizers.SGD(0.1),
        "mse",
        jit_compile=jit_compile,
        steps_per_execution=2,
    )
    weights = [to_numpy(v) for v in model.trainable_variables]
    losses = []
    for _ in range(4):
        loss, step = by_hand(weights, 1.0, SAMPLE_WEIGHT)
        losses.append(loss)
        weights = [w - 0.1 * g for w, g in zip(weights, step, strict=True)]
    dataset_x = np.concatenate([X] * 4)
    history = model.fit(
        dataset_x,
        np.concatenate([Y] * 4),
        sample_weight=np.concatenate([SAMPLE_WEIGHT] * 4),
        batch_size=5,
        shuffle=False,
        verbose=0,
    ).history
    for a, b in zip(model.trainable_variables, weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    for name, expected in zip(
        ("dreg_loss", "loss"), np.mean(losses, axis=0), strict=True
    ):
        assert history[name] == [pytest.approx(expected, rel=1e-4)]
    distance = np.linalg.norm(weights[1] - weights[2])
    name = f"dreg_distance/{model.layers[-1].name}"
    assert history[name] == [pytest.approx(distance, rel=1e-4)]


def test_split_is_an_unbiased_estimate_of_half_the_path_losses():
    both = small_model(weight=0.0)
    inputs = keras.Input((3,))
    layer = keras_lbreg.DRegDense(2, use_bias=False, weight=0.0)
    split = keras.Model(
        inputs, layer(keras.layers.Dense(4, use_bias=False)(inputs))
    )
    split.set_weights(both.get_weights())
    x = RNG.normal(size=(4, 3)).astype("float32")
    y = RNG.normal(size=(4, 2)).astype("float32")
    loss = keras.losses.MeanSquaredError()
    outputs = to_numpy(both(x, training=True))
    half_sum = (float(loss(y, outputs[:4])) + float(loss(y, outputs[4:]))) / 2
    # Every sample goes first once and last once in these two orders.
    orders = [[0, 1, 2, 3], [2, 3, 0, 1]]
    estimates = [
        float(loss(y[order], split(x[order], training=True)))
        for order in orders
    ]
    assert np.mean(estimates) == pytest.approx(half_sum, rel=1e-5)


def test_metrics_and_evaluation():
    model = small_model(weight=0.0)
    model.compile(
        keras.optimizers.SGD(0.0), "mse", metrics=["mae"], weighted_metrics=[]
    )
    h = X @ to_numpy(model.trainable_variables[0])
    errors = {
        path: h @ to_numpy(kernel) - Y
        for path, kernel in zip(
            ("right", "left"), model.trainable_variables[1:], strict=True
        )
    }
    mae = {path: np.abs(error).mean() for path, error in errors.items()}
    logs = model.fit(X, Y, batch_size=5, verbose=0, validation_data=(X, Y))
    logs = logs.history
    # In training over both paths, in validation over the active one.
    assert logs["mae"] == [
        pytest.approx((mae["right"] + mae["left"]) / 2, rel=1e-4)
    ]
    assert logs["val_mae"] == [pytest.approx(mae["right"], rel=1e-4)]
    # What is optimised is the sum; what is logged, comparable.
    path_losses = [np.mean(error**2) for error in errors.values()]
    assert logs["loss"] == [pytest.approx(np.mean(path_losses), rel=1e-4)]
    assert logs["val_loss"] == [pytest.approx(path_losses[0], rel=1e-4)]
    assert logs["dreg_loss"] == [pytest.approx(np.sum(path_losses), rel=1e-4)]
    assert not [n for n in logs if n.startswith("val_dreg")]
    for path, error in errors.items():
        model.active_path = path
        assert model.active_path == path
        loss, found = model.evaluate(X, Y, verbose=0)
        assert loss == pytest.approx(np.mean(error**2), rel=1e-4)
        assert found == pytest.approx(mae[path], rel=1e-4)
        np.testing.assert_allclose(
            model.predict(X, verbose=0), error + Y, rtol=1e-4, atol=1e-5
        )


def test_a_huge_penalty_takes_no_digits_from_the_logged_loss():
    """As with `distance="frobenius"`, whose kernels run away."""
    expected, received = (small_model(weight=weight) for weight in (0.0, 1e16))
    received.set_weights(expected.get_weights())
    losses = []
    for model in (expected, received):
        model.compile(keras.optimizers.SGD(0.0), "mse")
        logs = model.fit(X, Y, batch_size=5, verbose=0).history
        losses += logs["loss"]
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)


def test_several_outputs_of_which_one_is_not_forked():
    inputs = keras.Input((3,))
    h = keras.layers.Dense(4)(inputs)
    main = keras_lbreg.DRegDense(2, paths="both", weight=0.0)(h)
    side = keras.layers.Dense(2, name="side")(h)
    model = keras_lbreg.DRegModel(
        inputs, {"main": main, "side": side}, path_reduction="sum"
    )
    model.compile(
        keras.optimizers.SGD(0.0),
        {"main": "mse", "side": "mse"},
        loss_weights={"main": 1.0, "side": 3.0},
    )
    stacked = model(X, training=True)
    loss = keras.losses.MeanSquaredError()
    expected = (
        float(loss(Y, stacked["main"][:5]))
        + float(loss(Y, stacked["main"][5:]))
        + 2 * 3 * float(loss(Y, stacked["side"]))
    )
    logs = model.fit(X, {"main": Y, "side": Y}, batch_size=5, verbose=0).history
    assert logs["dreg_loss"] == [pytest.approx(expected, rel=1e-4)]
    assert logs["loss"] == [pytest.approx(expected / 2, rel=1e-4)]


def test_class_weight_and_regularizer():
    inputs = keras.Input((3,))
    outputs = keras_lbreg.DRegDense(
        2,
        paths="both",
        weight=0.0,
        activation="softmax",
        kernel_regularizer="l2",
    )(inputs)
    model = keras_lbreg.DRegModel(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    labels = np.array([0, 1, 1, 0, 1])
    probabilities = to_numpy(model(X, training=True))
    weight = np.where(labels == 1, 3.0, 1.0)
    picked = -np.log(
        [probabilities[np.arange(5) + 5 * path, labels] for path in (0, 1)]
    )
    layer = model.layers[-1]
    regularization = 0.01 * sum(
        np.sum(to_numpy(k) ** 2) for k in (layer.kernel, layer.kernel_left)
    )
    data_loss = np.sum(picked * weight) / 5
    logs = model.fit(
        X, labels, class_weight={0: 1.0, 1: 3.0}, batch_size=5, verbose=0
    ).history
    for name, expected in (
        ("dreg_loss", data_loss + regularization),
        ("loss", data_loss / 2 + regularization),
    ):
        assert logs[name] == [pytest.approx(expected, rel=1e-4)]
    # The regularization is large enough to be missed in this comparison.
    assert regularization > 0.001 * data_loss


def test_masks_count_for_both_paths():
    inputs = keras.Input((2, 1))
    h = keras.layers.Masking()(inputs)
    outputs = keras_lbreg.DRegDense(1, paths="both", weight=0.0)(h)
    model = keras_lbreg.DRegModel(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x = np.array([[[1.0], [0.0]], [[1.0], [2.0]]], "float32")
    y = np.full((2, 2, 1), 7.0)
    stacked = to_numpy(model(x, training=True))
    keep = np.array([[True, False], [True, True]])
    expected = sum(
        np.mean((path - y)[keep] ** 2) for path in (stacked[:2], stacked[2:])
    )
    logs = model.fit(x, y, batch_size=2, verbose=0).history
    assert logs["dreg_loss"] == [pytest.approx(expected, rel=1e-4)]


def test_save_mid_training_and_continue(tmp_path):
    def train(model, epochs):
        model.fit(X, Y, batch_size=5, epochs=epochs, verbose=0)

    model = small_model("mean", weight=0.1)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    train(model, 2)
    model.active_path = "left"
    again = save_and_load(model, tmp_path)
    assert type(again) is keras_lbreg.DRegModel
    assert again.path_reduction == "mean"
    assert again.active_path == "left"
    train(model, 2)
    train(again, 2)
    for a, b in zip(model.variables, again.variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("path_reduction", ["sum", "mean"])
def test_the_logged_loss_is_that_of_a_plain_model_without_a_difference(
    path_reduction,
):
    """Equal kernels: training logs the loss and regularization of one path."""
    inputs = keras.Input((3,))
    plain = keras.Sequential(
        [inputs, keras.layers.Dense(2, bias_regularizer="l2")]
    )
    plain.layers[-1].bias.assign([1.0, 2.0])
    model = keras_lbreg.apply_dreg(
        plain,
        0,
        init_distance=1e-6,
        weight=1.0,
        path_reduction=path_reduction,
    )
    logs = []
    for each in (plain, model):
        each.compile(keras.optimizers.SGD(0.0), "mse", metrics=["mae"])
        logs.append(each.fit(X, Y, batch_size=5, verbose=0).history)
    for name in ("loss", "mae"):
        assert logs[1][name] == [pytest.approx(logs[0][name][0], rel=1e-5)]


def test_steps_and_evaluation_return_what_a_plain_model_does():
    model = small_model()
    model.compile("sgd", "mse", metrics=["mae"])
    for values in (
        model.train_on_batch(X, Y),
        model.test_on_batch(X, Y),
        model.evaluate(X, Y, verbose=0),
    ):
        assert len(values) == 2
    assert set(model.train_on_batch(X, Y, return_dict=True)) == {"loss", "mae"}
    assert model.metrics_names == ["loss", "compile_metrics"]


def test_logs_reach_every_callback_whichever_way_they_are_given():
    seen = []
    spy = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(dict(logs))
    )
    for kind in ("one", "list", "CallbackList"):
        model = small_model()
        model.compile("sgd", "mse")
        callbacks = {
            "one": spy,
            "list": [spy],
            "CallbackList": keras.callbacks.CallbackList(
                [spy], add_history=True, model=model
            ),
        }[kind]
        for _ in range(2):
            model.fit(X, Y, None, 1, 0, callbacks)
    assert len(seen) == 6
    for logs in seen:
        (distance,) = [n for n in logs if n.startswith("dreg_distance/")]
        assert logs[distance] > 0
        assert "dreg_loss" in logs


def test_distances_are_logged_for_every_layer_by_name():
    inner = keras.Sequential(
        [keras.Input((3,)), keras_lbreg.DRegDense(2, name="a")], name="inner"
    )
    inputs = keras.Input((3,))
    h = keras_lbreg.DRegDense(3, name="a", paths="both")(inputs)
    h = keras_lbreg.DRegDense(3, name="b")(h)
    model = keras_lbreg.DRegModel(inputs, inner(h))
    logs = dreg_distances(model)
    assert set(logs) == {
        "dreg_distance/a",
        "dreg_distance/b",
        "dreg_distance/inner/a",
    }
    layer = model.get_layer("b")
    expected = to_numpy(layer.kernel) - to_numpy(layer.kernel_left)
    assert logs["dreg_distance/b"] == pytest.approx(
        np.linalg.norm(expected), rel=1e-5
    )


@pytest.mark.parametrize("size", [1e3, float("inf"), float("nan")])
def test_kernels_that_run_away_warn(size):
    model = small_model()
    layer = model.layers[-1]
    layer.kernel.assign(np.full((4, 2), size))
    with pytest.warns(RuntimeWarning, match="running away"):
        dreg_distances(model)


def test_a_model_without_forks_is_an_ordinary_one():
    inputs = keras.Input((3,))
    model = keras_lbreg.DRegModel(
        inputs, keras_lbreg.DRegDense(2, weight=0.0)(inputs)
    )
    model.compile(keras.optimizers.SGD(0.0), "mse", metrics=["mae"])
    outputs = to_numpy(model(X, training=True))
    logs = model.fit(X, Y, batch_size=5, shuffle=False, verbose=0).history
    assert logs["loss"] == [
        pytest.approx(np.mean((outputs - Y) ** 2), rel=1e-4)
    ]
    assert logs["mae"] == [pytest.approx(np.abs(outputs - Y).mean(), rel=1e-4)]


def test_config():
    model = small_model("mean")
    config = model.get_config()
    assert config["path_reduction"] == "mean"
    assert config["from_sequential"] is False
    again = keras_lbreg.DRegModel.from_config(
        {**config, "from_sequential": True}
    )
    assert again.path_reduction == "mean"
    assert again.from_sequential is True


def test_invalid_path_reduction():
    with pytest.raises(ValueError, match=r"Received: path_reduction='max'"):
        small_model("max")


def test_no_dreg_layer_has_no_active_path():
    inputs = keras.Input((3,))
    model = keras_lbreg.DRegModel(inputs, keras.layers.Dense(2)(inputs))
    with pytest.raises(ValueError, match="Expected a model with a DReg layer"):
        _ = model.active_path


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    model = small_model()
    model.compile(keras.optimizers.SGD(0.01), "mse")
    # The loss scale of float16 starts too high: the first steps are skipped.
    logs = model.fit(X, Y, batch_size=5, epochs=12, verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    assert logs["loss"][-1] < logs["loss"][0]


@pytest.mark.tensorflow
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("where", ["floatx", "policy"])
@pytest.mark.parametrize("paths", ["both", "split"])
def test_low_and_double_precision(dtype, where, paths):
    if where == "floatx":
        keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        model = keras.Sequential(
            [keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(2)]
        )
        model = keras_lbreg.apply_dreg(
            model, 0, paths=paths, weight=0.5, init_distance=0.1
        )
        model.compile(keras.optimizers.SGD(0.01), "mse")
        logs = model.fit(X, Y, batch_size=3, epochs=2, verbose=0).history
        assert np.isfinite([float(loss) for loss in logs["loss"]]).all()
        (layer,) = [x for x in model.layers if hasattr(x, "kernel_left")]
        assert layer.kernel_left.dtype == dtype
        assert layer.initial_size.dtype == "float32"
    finally:
        keras.config.set_floatx("float32")


class Custom(keras.Model):
    """A subclassed model, whose layers surgery could not reach."""

    def __init__(self):
        super().__init__()
        self.dense = keras_lbreg.DRegDense(2)
        self.block = keras.Sequential([keras_lbreg.DRegDense(1)])

    def call(self, x, training=None):
        return self.block(self.dense(x, training=training), training=training)


def test_all_layers_switch_together():
    model = Custom()
    model(keras.ops.ones((2, 3)))
    assert len(path_layers(model)) == 2
    assert get_active_path(model) == "right"
    set_active_path(model, "left")
    assert get_active_path(model) == "left"
    assert model.block.layers[-1].active_path == "left"


def model_of(branch, from_sequential):
    inputs = keras.Input((3,))
    h = keras_lbreg.DRegDense(3)(inputs)
    if branch:
        h = keras.layers.Add()([h, inputs])
    return keras_lbreg.DRegModel(inputs, h, from_sequential=from_sequential)


@pytest.mark.parametrize(
    ("branch", "from_sequential", "expected"),
    [
        (False, True, keras.Sequential),
        (False, False, keras.Model),
        (True, True, keras.Model),
    ],
)
def test_class_without_forks(branch, from_sequential, expected):
    assert plain_class(model_of(branch, from_sequential)) is expected


def test_other_classes_stay():
    assert plain_class(keras.Sequential()) is None
