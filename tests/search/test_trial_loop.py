"""The loop with a desk that takes notes; its trials start no process."""

import pytest

from keras_lbreg.processes.guardian import Guardian
from keras_lbreg.search.machines.chief_errors import TrialTakenError
from keras_lbreg.search.search_state import space_of
from keras_lbreg.search.trial_loop import TrialLoop, why_failed
from keras_lbreg.search.trials.trial_folder import TrialFolder
from tests.search.small_search import small_manifest, small_search


class Desk:
    """Hands out what it was given, and notes what comes back."""

    def __init__(self, answers):
        self.answers = list(answers)
        self.notes = []

    def create_trial(self, worker):
        return self.answers.pop(0)

    def end_trial(self, worker, trial_id, status, reason):
        self.notes.append((trial_id, status, reason))
        if trial_id == "taken":
            raise TrialTakenError("another one has it")


@pytest.fixture
def make(tmp_path):
    search = small_search(tmp_path)
    manifest = small_manifest(search)
    with Guardian() as guardian:

        def make_loop(desk):
            space = space_of(manifest)
            return TrialLoop(search, manifest, tmp_path, space, desk, guardian)

        yield make_loop


def too_large(trial_id):
    values = {"ghost_batch_norm": True}
    values["ghost_batch_norm.ghost_batch_size"] = 64
    return trial_id, "RUNNING", values


def test_what_cannot_be_trained_fails_without_a_process(make):
    desk = Desk([too_large("000"), (None, "STOPPED", None)])
    with make(desk) as loop:
        loop.step()
        [(trial_id, status, reason)] = desk.notes
        assert (trial_id, status) == ("000", "FAILED")
        assert "a ghost of 64 is larger" in reason
        assert not loop.ended
        loop.step()
        assert loop.ended


def test_idle_is_asked_again_and_a_taken_trial_let_go(make):
    idle = (None, "IDLE", None)
    desk = Desk([idle, too_large("taken"), (None, "STOPPED", None)])
    with make(desk) as loop:
        loop.step()
        assert not loop.ended
        loop.step()
        assert [note[0] for note in desk.notes] == ["taken"]
        loop.step()
        assert loop.ended


def test_why_a_trial_failed(tmp_path):
    folder = TrialFolder(tmp_path, 1)
    assert why_failed(folder, -11) == "its process was killed by SIGSEGV"
    folder.log.write_text("Traceback\nOSError: disk full\n\n")
    assert why_failed(folder, 1) == (
        "its process ended with exit code 1: OSError: disk full"
    )
    assert "exit code 0" in why_failed(folder, 0)
