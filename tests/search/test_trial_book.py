"""The books of a search whose trials are made up."""

import dataclasses

import pytest

from keras_lbreg.search import Ledger, read_search
from keras_lbreg.search.events import TrialEnded, TrialProgress, TrialStarted
from keras_lbreg.search.search_folder import SearchFolder
from keras_lbreg.search.trial_book import TrialBook
from tests.search.small_search import small_manifest, small_search


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    return small_manifest(small_search(tmp_path_factory.mktemp("data")))


class Books:
    """Opens the same search again and again."""

    def __init__(self, folder, facts):
        self.folder, self.facts = folder, facts
        self.told = []

    def open(self, **settings):
        search = small_search(self.folder, **settings)
        with SearchFolder(search, self.facts, fresh=False) as folder:
            return TrialBook(
                search, folder.manifest, folder.path, self.told.append
            )


@pytest.fixture
def books(tmp_path, facts):
    return Books(tmp_path, facts)


def run_trial(book, accuracies=(0.5,), reason=None):
    """Create a trial and end it; its id, or what else came."""
    trial_id, status, _ = book.create()
    if status != "RUNNING":
        return status
    book.start(trial_id, "here:0")
    for number, accuracy in enumerate(accuracies):
        book.execution_ended(trial_id, execution(number, accuracy))
    book.end(trial_id, "FAILED" if reason else "COMPLETED", reason)
    return trial_id


def execution(number, accuracy):
    return {
        "execution": number,
        "seed": number,
        "val_accuracy": accuracy,
        "epochs": 2,
        "seconds": 1.5,
    }


def test_what_is_told_is_what_is_read_afterwards(books):
    book = books.open(trials=3)
    assert run_trial(book, (0.5, 0.75)) == "000"
    assert run_trial(book, (), "the loss became nan in epoch 1") == "001"
    assert run_trial(book, (0.875,)) == "002"
    assert run_trial(book) == "STOPPED"
    book.end_search()
    results = read_search(book.path)
    assert results == book.results()
    assert [trial.score for trial in results.trials] == [0.625, None, 0.875]
    assert results.ended_why == "trials"
    ended = [event for event in books.told if isinstance(event, TrialEnded)]
    assert [event.trial for event in ended] == list(results.trials)
    assert [event.best.id for event in ended] == ["000", "000", "002"]


def test_a_trial_without_an_end_goes_on(books):
    book = books.open()
    trial_id, _, values = book.create()
    assert book.unfinished() == {"000": None}
    book.start(trial_id, "here:1")
    book.execution_ended(trial_id, execution(0, 0.5))
    book.progress(
        trial_id,
        {"execution": 1, "epoch": 1, "epochs": 2, "val_accuracy": 0.25},
    )
    assert books.told[-1] == TrialProgress("000", 1, 1, 2, 0.25)

    again = books.open()
    assert again.unfinished() == {"000": "here:1"}
    assert again.values("000") == values
    again.start("000", "here:0")
    assert isinstance(books.told[-1], TrialStarted)
    assert books.told[-1].resumed
    # It stands in the folder, and in the ledger already.
    again.execution_ended("000", execution(0, 0.5))
    again.execution_ended("000", execution(1, 0.75))
    again.end("000", "COMPLETED")
    [trial] = again.results().trials
    assert (trial.score, len(trial.executions)) == (0.625, 2)
    assert again.results().sessions == 2


def test_another_session_goes_on_with_the_same_trials(books, tmp_path, facts):
    book = books.open(trials=4)
    for _ in range(2):
        run_trial(book)
    again = books.open(trials=4)
    for _ in range(2):
        run_trial(again)
    other = Books(tmp_path / "other", facts)
    whole = other.open(trials=4)
    for _ in range(4):
        run_trial(whole)
    assert [trial.values for trial in again.results().trials] == [
        trial.values for trial in whole.results().trials
    ]


def test_the_number_of_trials_may_grow(books):
    book = books.open(trials=1)
    run_trial(book)
    assert run_trial(book) == "STOPPED"
    again = books.open(trials=2)
    assert run_trial(again) == "001"
    assert run_trial(again) == "STOPPED"


def test_the_budget_counts_all_sessions(books):
    book = books.open(trials=9, budget=100.0)
    run_trial(book)
    # An hour ago.
    book._start -= 3600
    assert run_trial(book) == "STOPPED"
    assert book.why == "budget"
    book.interrupt()
    again = books.open(trials=9, budget=100.0)
    assert again.elapsed > 3600
    assert run_trial(again) == "STOPPED"
    assert run_trial(books.open(trials=9, budget=7200.0)) == "001"


def test_a_space_without_more_values_ends_the_search(tmp_path):
    few = {
        "techniques": (),
        "always": ("lr_scaling",),
        "ranges": {"lr_scaling": {"warmup_epochs": 0}},
        "learning_rate_factor": None,
    }
    search = small_search(tmp_path, trials=9, **few)
    facts = small_manifest(search)
    with SearchFolder(search, facts, fresh=False) as folder:
        book = TrialBook(search, folder.manifest, folder.path, lambda _: None)
    assert [run_trial(book) for _ in range(3)] == ["000", "001", "STOPPED"]
    assert book.why == "exhausted"


def test_memory_stays_flat(books):
    """What 90 trials leave behind is less than one of them would need."""
    book = books.open(trials=100)
    for _ in range(100):
        run_trial(book, (0.5, 0.25))
    results = read_search(book.path)
    peaks = [trial.peak_memory for trial in results.trials]
    assert peaks[0] > 50e6
    assert peaks[-1] - peaks[10] < 5e6


def test_only_one_search_at_a_time(books, tmp_path):
    search = small_search(tmp_path)
    with (
        SearchFolder(search, books.facts, fresh=False),
        pytest.raises(ValueError, match="Another process is writing"),
    ):
        books.open()


def test_another_search_is_refused_and_left_alone(books, facts):
    book = books.open()
    run_trial(book)
    before = (book.path / "ledger.jsonl").read_bytes()
    with pytest.raises(ValueError, match=r"another search.*epochs: 2 there, 3"):
        books.open(epochs=3)
    with pytest.raises(ValueError, match="tuner: 'random' there, 'grid' now"):
        books.open(tuner="grid")
    changed = {**facts["dataset"], "checksum": 1}
    with pytest.raises(ValueError, match=r"checksum: \d+ there, 1 now"):
        Books(books.folder, {**facts, "dataset": changed}).open()
    # What no trial depends on may be another, versions among it: the ledger
    # says what each session ran with.
    books.open(trials=9, budget=9.0, workers=2, confirm_seeds=0)
    assert (book.path / "ledger.jsonl").read_bytes().startswith(before)


def test_a_damaged_ledger_is_an_error_before_anything_changes(books):
    book = books.open()
    ledger = book.path / "ledger.jsonl"
    ledger.write_text(ledger.read_text() + "nonsense\n")
    before = (book.path / "search.json").read_bytes()
    with pytest.raises(ValueError, match="line 2 is damaged"):
        books.open(trials=9)
    assert (book.path / "search.json").read_bytes() == before


def test_trials_of_unknown_origin_are_left_alone(books, tmp_path):
    path = tmp_path / "search"
    (path / "trials").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"holds trials, but no search\.json"):
        books.open()


def test_fresh_deletes_the_search_and_nothing_else(books, tmp_path):
    book = books.open()
    run_trial(book)
    (book.path / "trials" / "000").mkdir(parents=True)
    (book.path / "notes.txt").write_text("mine")
    search = dataclasses.replace(small_search(tmp_path), epochs=3)
    with SearchFolder(search, books.facts, fresh=True):
        pass
    assert sorted(x.name for x in book.path.iterdir()) == [
        ".lock",
        "notes.txt",
        "search.json",
    ]


def test_each_session_says_what_it_ran_with(books, facts):
    run_trial(books.open())
    newer = {**facts["versions"], "keras_lbreg": "9.9.9"}
    book = Books(books.folder, {**facts, "versions": newer}).open()
    sessions = [
        event["versions"]["keras_lbreg"]
        for event in Ledger(book.path / "ledger.jsonl").read()
        if event["event"] == "session"
    ]
    assert sessions == [facts["versions"]["keras_lbreg"], "9.9.9"]
    # Workers are compared with the version that runs.
    assert book.results().manifest["versions"]["keras_lbreg"] == "9.9.9"
