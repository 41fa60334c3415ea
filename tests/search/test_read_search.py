import json
import math

import pytest

from keras_lbreg.search import read_search
from tests.search.fake_search import write_search


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("search")
    return write_search(path, trials=8, failed=(3,), running=(7,), short=(0,))


def test_everything_of_a_trial_is_there(folder):
    trial = read_search(folder).trials[1]
    assert (trial.id, trial.status, trial.worker) == (
        "001",
        "completed",
        "here:0",
    )
    first, second = trial.executions
    assert (first.seed, second.seed, first.epochs) == (0, 1, 20)
    mean = (first.val_accuracy + second.val_accuracy) / 2
    assert trial.score == pytest.approx(mean)
    difference = abs(first.val_accuracy - second.val_accuracy)
    assert trial.std == pytest.approx(difference / math.sqrt(2))
    assert trial.created == trial.started < trial.ended
    assert trial.seconds == 6.0
    assert trial.configuration.techniques.keys() == {
        name for name, on in trial.values.items() if on is True
    }


def test_trials_that_failed_or_have_no_end(folder):
    results = read_search(folder)
    [failed] = results.of_status("failed")
    assert (failed.id, failed.score) == ("003", None)
    assert failed.reason
    assert math.isnan(failed.std)
    [running] = results.of_status("running")
    assert (running.id, running.ended) == ("007", None)
    assert results.ended_why == "trials"
    assert results.sessions == 1


def test_the_best_is_one_that_trained_to_the_end(folder, tmp_path):
    results = read_search(folder)
    assert results.trials[0].until == 0.1
    best = max(
        (trial for trial in results.of_status("completed") if trial.until == 1),
        key=lambda trial: trial.score,
    )
    assert results.best == best
    only_short = write_search(tmp_path, trials=3, short=(0, 1, 2), failed=())
    results = read_search(only_short)
    assert results.best.score == max(trial.score for trial in results.trials)


def test_a_search_that_goes_on_has_not_ended(tmp_path):
    write_search(tmp_path, trials=2, failed=())
    session = {
        "event": "session",
        "time": "",
        "pid": 2,
        "versions": {},
        "elapsed": 99.0,
    }
    with open(tmp_path / "ledger.jsonl", "a") as file:
        file.write(json.dumps(session) + "\n")
    results = read_search(tmp_path)
    assert results.ended_why is None
    assert (results.sessions, results.elapsed) == (2, 99.0)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`path`.*search\.json.*Received"):
        read_search(tmp_path)
    write_search(tmp_path, trials=1, failed=())
    file = tmp_path / "search.json"
    manifest = json.loads(file.read_text())
    file.write_text(json.dumps({**manifest, "schema": 99}))
    with pytest.raises(ValueError, match="schema 99, this version reads 1"):
        read_search(tmp_path)
    file.write_text(json.dumps({**manifest, "space": None}))
    with pytest.raises(ValueError, match=r"an array as search\.space"):
        read_search(tmp_path)
