"""Keras's `fit` and all around it on several workers, as in one process."""

import keras
import numpy as np
import pytest

import keras_lbreg as lbreg
from tests.checks.cluster import Failure
from tests.checks.replicas import mirrored_strategy

tensorflow = pytest.mark.tensorflow
# A second cluster takes half a minute to start.
DEVICES = [1, pytest.param(2, marks=pytest.mark.slow)]
# A whole cluster is run within the first test.
pytestmark = pytest.mark.timeout(600)


def of_workers(name, cluster=None):
    """What a function has returned, after a check that workers agree."""
    from tests.checks.clusters import two_workers

    results = [result[name] for result in (cluster or two_workers)()]
    for result in results:
        assert not isinstance(result, Failure), result
    return results


def same(ours, theirs, atol=2e-5):
    keras.tree.map_structure(
        lambda a, b: np.testing.assert_allclose(a, b, atol=atol, rtol=1e-5),
        ours,
        theirs,
    )


def equal(results):
    """The first of results that are the same, bit by bit."""
    for result in results[1:]:
        keras.tree.map_structure(
            np.testing.assert_array_equal, result, results[0]
        )
    return results[0]


@pytest.fixture
def fits():
    from tests.checks import cluster_fits

    return cluster_fits


@tensorflow
@pytest.mark.parametrize("devices", DEVICES)
def test_callbacks_and_logs(fits, devices):
    from tests.checks.clusters import two_workers, two_workers_with_two_devices

    cluster = two_workers if devices == 1 else two_workers_with_two_devices
    ours = equal(of_workers("callbacks", cluster))
    alone = fits.callbacks(None)
    # Keras averages batch by batch what replicas have measured by themselves;
    # parts of equal size have the average of one process.
    same(ours, alone)
    assert len(ours["logs"]["val_loss"]) == 4  # EarlyStopping
    assert ours["rates"][-1] < 0.01  # ReduceLROnPlateau
    assert set(ours["logs"]) >= {"loss", "accuracy", "val_accuracy"}


@tensorflow
def test_schedules_and_distances(fits):
    one, two = map(dict, of_workers("schedule"))
    alone = fits.schedule(None)
    files = one.pop("files"), two.pop("files"), alone.pop("files")
    same(equal([one, two]), alone)
    assert one["rate"] == pytest.approx(0.1 / 4)
    assert [len(f) for f in files] == [2, 0, 2]


@tensorflow
def test_the_chief_s_file_is_read_in_one_process(fits, tmp_path):
    chief, _ = of_workers("schedule")
    path = tmp_path / "model.keras"
    path.write_bytes(chief["files"][-1])
    model = keras.saving.load_model(path)
    (x, _), _ = fits.digits()
    same(model.predict(x[:10], verbose=0), chief["predict"])


@tensorflow
@pytest.mark.parametrize(
    "name", ["several", "predict_unequal", "eager", "paths"]
)
def test_one_process(fits, name):
    same(equal(of_workers(name)), getattr(fits, name)(None))


@tensorflow
@pytest.mark.slow
def test_predictions_keep_their_order_on_several_devices(fits):
    from tests.checks.clusters import two_workers_with_two_devices

    ours = equal(of_workers("several", two_workers_with_two_devices))
    same(ours, fits.several(None))
    assert ours["predict"]["one"].shape == (37, 10)


@tensorflow
def test_loss_scaling(fits):
    # Half precision rounds the halves of a batch apart from the whole.
    same(equal(of_workers("loss_scaling")), fits.loss_scaling(None), atol=2e-3)


@tensorflow
@pytest.mark.parametrize(
    "name",
    ["inputs", "on_batch", "ragged", "ragged_ghosts", "squared_gradients"],
)
def test_two_devices_of_one_process(fits, name):
    one, two = of_workers(name)
    mirrored = getattr(fits, name)(mirrored_strategy(2))
    if name == "ragged_ghosts":
        # Moving statistics are each replica's own.
        one, two, mirrored = (
            result | {"weights": result["weights"][:4]}
            for result in (one, two, mirrored)
        )
    same(equal([one, two]), mirrored)
    keras.tree.map_structure(
        lambda array: np.testing.assert_array_equal(np.isfinite(array), True),
        one,
    )


@tensorflow
def test_moving_statistics_are_each_replica_s_own_and_logs_are_shared():
    one, two = of_workers("moving_statistics")
    assert np.abs(one["moving_mean"] - two["moving_mean"]).max() > 1e-4
    equal([one["logs"], two["logs"]])
    equal([one["trainable"], two["trainable"]])


@tensorflow
@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("compiled_step", "jit_compile=True"),
        ("steps_in_one_execution", "steps_per_execution=2"),
    ],
)
@pytest.mark.parametrize("devices", DEVICES)
def test_what_tensorflow_cannot_do_is_refused(name, argument, devices):
    from tests.checks.clusters import two_workers, two_workers_with_two_devices

    cluster = two_workers if devices == 1 else two_workers_with_two_devices
    for result in cluster():
        assert isinstance(result[name], Failure)
        assert result[name].startswith("ValueError: Invalid value")
        assert f"Received: {argument}" in result[name]


@tensorflow
def test_a_wrong_tf_config(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "{")
    with pytest.raises(ValueError, match="TF_CONFIG is not right"):
        lbreg.MultiWorkerMirroredStrategy()


@tensorflow
@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"auto_shard_policy": "auto"}, "`auto_shard_policy`.*'data', 'file'"),
        ({"start_timeout": 0}, "`start_timeout`"),
        ({"start_timeout": None}, "`start_timeout`"),
        ({"heartbeat_timeout": "10"}, "`heartbeat_timeout`"),
        ({"heartbeat_timeout": float("nan")}, "`heartbeat_timeout`"),
    ],
)
def test_arguments(kwargs, said):
    with pytest.raises(ValueError, match=said):
        lbreg.MultiWorkerMirroredStrategy(**kwargs)


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="needs another backend"
)
def test_another_backend():
    with pytest.raises(RuntimeError, match="needs the TensorFlow backend"):
        lbreg.MultiWorkerMirroredStrategy()
