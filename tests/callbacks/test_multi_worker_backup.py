import keras
import numpy as np
import pytest

from keras_lbreg.callbacks import MultiWorkerBackup
from keras_lbreg.callbacks.multi_worker_backup import training_state
from keras_lbreg.optimizers import GradientNoise

X = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


class PowerCut(Exception):
    pass


class CutThePower(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise PowerCut


def make_model(units=4, built=True):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            *([keras.Input((3,))] if built else []),
            keras.layers.Dense(units, activation="tanh"),
            keras.layers.Dropout(0.3, seed=2),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(1),
        ]
    )
    sgd = keras.optimizers.SGD(0.05, momentum=0.9)
    model.compile(GradientNoise(sgd, alpha=0.1, seed=3), "mse")
    return model


def fit(model, *callbacks, epochs=5, **kwargs):
    return model.fit(
        X,
        Y,
        batch_size=4,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=list(callbacks),
        **kwargs,
    )


def assert_same(model, other):
    for a, b in zip(training_state(model), training_state(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def undisturbed():
    """A model that was trained without an interruption."""
    model = make_model()
    fit(model)
    return model


@pytest.mark.parametrize(
    ("frequency", "first"), [pytest.param(1, 3, marks=pytest.mark.slow), (2, 2)]
)
def test_an_interrupted_run_ends_as_an_undisturbed_one(
    tmp_path, frequency, first, undisturbed
):
    path = tmp_path / "folder" / "backup.npz"

    with pytest.raises(PowerCut):
        fit(make_model(), MultiWorkerBackup(path, frequency), CutThePower(3))
    assert [file.name for file in path.parent.iterdir()] == ["backup.npz"]

    again = make_model()
    history = fit(again, MultiWorkerBackup(str(path), frequency))
    assert history.epoch == list(range(first, 5))
    assert_same(again, undisturbed)
    assert not path.exists()


def test_a_fit_without_the_callback_begins_with_its_own_epoch(tmp_path):
    path = tmp_path / "backup.npz"
    with pytest.raises(PowerCut):
        fit(make_model(), MultiWorkerBackup(path), CutThePower(2))
    model = make_model()
    with pytest.raises(PowerCut):
        fit(model, MultiWorkerBackup(path), CutThePower(3))
    assert fit(model, epochs=2).epoch == [0, 1]


def test_nothing_to_go_on_from(tmp_path, undisturbed):
    backup = MultiWorkerBackup(tmp_path / "backup.npz", delete_checkpoint=False)
    model = make_model()
    assert fit(model, backup).epoch == [0, 1, 2, 3, 4]
    assert_same(model, undisturbed)
    assert backup.path.exists()
    # What is finished stays so.
    assert fit(make_model(), backup).epoch == []
    # The model itself is free to train on from its own first epoch.
    assert fit(model, epochs=2).epoch == [0, 1]


def test_a_cut_while_writing_leaves_the_epoch_before(
    tmp_path, monkeypatch, undisturbed
):
    path = tmp_path / "backup.npz"
    with pytest.raises(PowerCut):
        fit(make_model(), MultiWorkerBackup(path), CutThePower(2))

    def half_a_file(file, **arrays):
        file.write(b"PK half of it")
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", half_a_file)
        with pytest.raises(PowerCut):
            fit(make_model(), MultiWorkerBackup(path))
    again = make_model()
    assert fit(again, MultiWorkerBackup(path)).epoch == [2, 3, 4]
    assert_same(again, undisturbed)
    # Nothing is left of the half, either.
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 no more"], ids=["empty", "torn"]
)
def test_a_damaged_file_is_named_and_kept(tmp_path, content):
    path = tmp_path / "backup.npz"
    path.write_bytes(content)
    model, untouched = make_model(), make_model()
    with pytest.raises(ValueError, match=r"Cannot read the backup .*\.npz"):
        fit(model, MultiWorkerBackup(path))
    assert_same(model, untouched)
    assert path.read_bytes() == content


def test_a_file_without_its_parts_is_damaged(tmp_path):
    path = tmp_path / "backup.npz"
    np.savez(path, epoch=3, state_1=np.zeros(3))
    with pytest.raises(ValueError, match="Cannot read the backup"):
        fit(make_model(), MultiWorkerBackup(path))


def test_the_file_of_another_model_is_refused(tmp_path):
    path = tmp_path / "backup.npz"
    fit(make_model(), MultiWorkerBackup(path, delete_checkpoint=False))
    with pytest.raises(ValueError, match="does not fit the model"):
        fit(make_model(units=5), MultiWorkerBackup(path))


@pytest.mark.parametrize("frequency", [0, -1, 1.5, True, "epoch"])
def test_bad_frequency(frequency):
    with pytest.raises(ValueError, match="argument `frequency`"):
        MultiWorkerBackup("backup.npz", frequency)


def test_bad_path():
    with pytest.raises(ValueError, match="argument `path`"):
        MultiWorkerBackup("backup")
