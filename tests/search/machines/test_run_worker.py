import pytest

import keras_lbreg
from keras_lbreg.experiments.json_file import write_json
from keras_lbreg.search import Search
from keras_lbreg.search.events import TrialEnded, TrialProgress, TrialStarted
from keras_lbreg.search.machines.run_worker import open_shared_folder
from keras_lbreg.search.machines.worker_events import WorkerEvents
from tests.search.fake_search import fake_manifest

VALUES = {"batch_size": 512, "learning_rate_factor": 1.5, "dreg": False}
PROGRESS = {"execution": 0, "epoch": 1, "epochs": 2, "val_accuracy": 0.25}
EXECUTION = {
    "execution": 0,
    "seed": 0,
    "val_accuracy": 0.5,
    "epochs": 2,
    "seconds": 1.0,
}


@pytest.fixture
def search(tmp_path):
    """A search whose chief has begun."""
    search = Search("digits", trials=3, epochs=1, out_dir=str(tmp_path))
    manifest = fake_manifest(search)
    manifest["versions"]["keras_lbreg"] = keras_lbreg.__version__
    write_json(tmp_path / "search.json", manifest)
    return search


def test_the_chiefs_search_is_found_in_the_shared_folder(search, tmp_path):
    folder = open_shared_folder(search)
    assert folder.path == tmp_path
    assert folder.manifest["search"]["trials"] == 3


def test_what_changes_no_trial_may_be_another(search, tmp_path):
    settings = {"trials": 9, "workers": 2, "budget": 60.0, "data_dir": "/x"}
    open_shared_folder(
        Search("digits", epochs=1, out_dir=str(tmp_path), **settings)
    )


def test_a_worker_with_another_command_is_refused(search, tmp_path):
    other = Search("digits", trials=3, epochs=2, out_dir=str(tmp_path))
    with pytest.raises(
        ValueError, match=r"epochs: 1 there, 2 now.*same command on all"
    ):
        open_shared_folder(other)


def test_another_version_is_refused(search, tmp_path):
    manifest = fake_manifest(search)
    manifest["versions"]["keras_lbreg"] = "0.0.1"
    write_json(tmp_path / "search.json", manifest)
    with pytest.raises(ValueError, match=r"chief searches with .* 0\.0\.1"):
        open_shared_folder(search)


def test_a_folder_that_is_not_shared_is_refused(tmp_path):
    search = Search("digits", out_dir=str(tmp_path))
    with pytest.raises(ValueError, match="file system that all machines share"):
        open_shared_folder(search, delay=0)


class Desk:
    """Has one trial."""

    def __init__(self):
        self.told = []
        self.left = [("000", "RUNNING", VALUES)]

    def create_trial(self, worker):
        return self.left.pop() if self.left else (None, "IDLE", {})

    def get_trial(self, *message):
        self.told.append(message)

    update_trial = end_trial = get_trial


@pytest.mark.parametrize("status", ["COMPLETED", "FAILED"])
def test_a_worker_tells_of_its_own_trials(search, status):
    reason = "nan" if status == "FAILED" else None
    desk, events = Desk(), []
    told = WorkerEvents(desk, fake_manifest(search), events.append)
    assert told.create_trial("w:0") == ("000", "RUNNING", VALUES)
    assert told.create_trial("w:1")[1] == "IDLE"
    told.get_trial("w:0", "000", PROGRESS)
    told.get_trial("w:0", "000")
    if status == "COMPLETED":
        told.update_trial("w:0", "000", EXECUTION)
    told.end_trial("w:0", "000", status, reason)
    started, progress, ended = events
    assert isinstance(started, TrialStarted)
    assert started.trial.configuration.learning_rate_factor == 1.5
    assert started.trial.worker == "w:0"
    assert progress == TrialProgress("000", **PROGRESS)
    assert isinstance(ended, TrialEnded)
    assert ended.trial.status == status.lower()
    assert ended.trial.reason == reason
    score = 0.5 if status == "COMPLETED" else None
    assert ended.trial.score == score
    # Another worker may have a better one.
    assert ended.best is None
    # The other desk has heard it all.
    assert desk.told[0] == ("w:0", "000", PROGRESS)
    assert desk.told[-1] == ("w:0", "000", status, reason)
