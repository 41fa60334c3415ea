import keras
import pytest

from keras_lbreg.metric_direction import direction_of


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("accuracy", "max"),
        (keras.metrics.AUC(name="area"), "max"),
        ("mse", "min"),
        (keras.metrics.RootMeanSquaredError(name="rmse"), "min"),
        ("hinge", "min"),
        (keras.losses.log_cosh, "min"),
        (keras.losses.poisson, "min"),
        (keras.losses.binary_crossentropy, "min"),
        (keras.metrics.CosineSimilarity(), "max"),
    ],
    ids=lambda value: getattr(value, "name", getattr(value, "__name__", value)),
)
def test_of_keras_own_metrics(metric, direction):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[metric])
    data = keras.ops.ones((4, 2)), keras.ops.ones((4, 1))
    results = model.evaluate(*data, return_dict=True, verbose=0)
    (name,) = set(results) - {"loss"}
    assert direction_of(model, f"val_{name}") == direction
    assert direction_of(model, "val_loss") == "min"
