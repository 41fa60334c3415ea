import warnings

import keras
import numpy as np
import pytest

import keras_lbreg
from keras_lbreg.layers.dreg_distance import DRegDistance


def metric_of(right, left):
    kernels = [keras.Variable(np.asarray(k, "float32")) for k in (right, left)]
    return DRegDistance(lambda: kernels, "conv"), kernels


def test_result_is_the_current_distance():
    metric, kernels = metric_of([[3.0, 0.0]], [[0.0, 4.0]])
    assert float(metric.result()) == pytest.approx(5.0)
    kernels[0].assign([[0.0, 4.0]])
    assert float(metric.result()) == 0.0


def test_in_a_compiled_step_of_jax_the_last_look_counts():
    metric, kernels = metric_of([[3.0, 0.0]], [[0.0, 4.0]])
    metric.reset_state()
    kernels[0].assign([[0.0, 4.0]])
    with keras.StatelessScope():
        assert float(metric.result()) == pytest.approx(5.0)


@pytest.mark.parametrize("size", [1e3, float("inf"), float("nan")])
def test_running_away_warns_once(size):
    metric, _ = metric_of([[size, 0.0]], [[0.0, 0.0]])
    with pytest.warns(RuntimeWarning, match="'conv' are running away"):
        metric.result()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metric.result()


@pytest.mark.parametrize("paths", ["split", "both"])
def test_fit_logs_the_distance_and_warns(paths):
    inputs = keras.Input((4,))
    layer = keras_lbreg.DRegDense(
        2, paths=paths, distance="frobenius", weight=100.0
    )
    model_class = keras_lbreg.DRegModel if paths == "both" else keras.Model
    model = model_class(inputs, layer(inputs))
    model.compile("sgd", "mse")
    x, y = np.ones((8, 4), "float32"), np.ones((8, 2), "float32")
    model.optimizer.learning_rate = 0.0
    logs = model.fit(x, y, verbose=0).history
    distance = np.linalg.norm(
        keras.ops.convert_to_numpy(layer.kernel)
        - keras.ops.convert_to_numpy(layer.kernel_left)
    )
    assert logs["dreg_distance"] == [pytest.approx(distance, rel=1e-5)]
    # What the step itself reports, which the progress bar shows.
    step = model.train_on_batch(x, y, return_dict=True)
    assert step["dreg_distance"] == pytest.approx(distance, rel=1e-5)
    model.optimizer.learning_rate = 1.0
    with pytest.warns(RuntimeWarning, match="running away"):
        model.fit(x, y, epochs=4, verbose=0)
