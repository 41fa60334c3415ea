import pytest

from keras_lbreg.search.machines.chief_desk import ChiefDesk
from keras_lbreg.search.machines.chief_errors import TrialTakenError

ONE = {"worker": "worker0:0", "token": "here:1"}
TWO = {"worker": "worker1:0", "token": "there:1"}


class Book:
    """Trials by number, as far as `most`; notes what it is told."""

    def __init__(self, most=2, unfinished=None):
        self.most = most
        self.given = dict(unfinished or {})
        self.notes = []
        self.next_is_idle = False

    def unfinished(self):
        return dict(self.given)

    def closed(self):
        return len(self.given) == self.most

    def create(self):
        if self.next_is_idle:
            return None, "IDLE", {}
        if self.closed():
            return None, "STOPPED", {}
        trial_id = f"{len(self.given):03}"
        self.given[trial_id] = None
        return trial_id, "RUNNING", self.values(trial_id)

    def values(self, trial_id):
        return {"number": int(trial_id)}

    def start(self, *note):
        self.notes.append(("start", *note))

    def progress(self, *note):
        self.notes.append(("progress", *note))

    def execution_ended(self, *note):
        self.notes.append(("execution", *note))

    def end(self, *note):
        self.notes.append(("end", *note))


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


def make(clock, **settings):
    book = Book(**settings)
    return ChiefDesk(book, silence=30.0, clock=clock), book


def test_two_workers_get_different_trials_and_then_are_told_the_end(clock):
    desk, book = make(clock)
    assert desk.create_trial(ONE) == ("000", "RUNNING", {"number": 0})
    assert desk.create_trial(TWO) == ("001", "RUNNING", {"number": 1})
    desk.get_trial(ONE, "000", {"epoch": 1})
    desk.update_trial(ONE, "000", {"execution": 0})
    desk.end_trial(ONE, "000", "COMPLETED", None)
    desk.end_trial(TWO, "001", "FAILED", "nan")
    assert not desk.ended
    assert desk.create_trial(ONE)[1] == "STOPPED"
    assert not desk.ended
    assert desk.create_trial(TWO)[1] == "STOPPED"
    assert desk.ended
    assert book.notes == [
        ("start", "000", "worker0:0"),
        ("start", "001", "worker1:0"),
        ("progress", "000", {"epoch": 1}),
        ("execution", "000", {"execution": 0}),
        ("end", "000", "COMPLETED", None),
        ("end", "001", "FAILED", "nan"),
    ]


def test_a_lost_answer_costs_no_trial(clock):
    desk, book = make(clock)
    assert desk.create_trial(ONE) == desk.create_trial(ONE)
    desk.end_trial(ONE, "000", "COMPLETED", None)
    desk.end_trial(ONE, "000", "COMPLETED", None)
    assert [note[0] for note in book.notes] == ["start", "end"]


def test_a_silent_workers_trial_goes_to_the_next_that_asks(clock):
    desk, book = make(clock, most=1)
    desk.create_trial(ONE)
    clock.seconds = 29.0
    assert desk.create_trial(TWO)[1] == "IDLE"
    desk.get_trial(ONE, "000")
    clock.seconds = 58.0
    assert desk.create_trial(TWO)[1] == "IDLE"
    clock.seconds = 60.0
    assert desk.create_trial(TWO)[0] == "000"
    assert book.notes[-1] == ("start", "000", "worker1:0")
    for message in (
        lambda: desk.get_trial(ONE, "000"),
        lambda: desk.update_trial(ONE, "000", {"execution": 0}),
        lambda: desk.end_trial(ONE, "000", "COMPLETED", None),
    ):
        with pytest.raises(TrialTakenError, match="worker1:0 has it"):
            message()
    assert len(book.notes) == 2
    desk.end_trial(TWO, "000", "COMPLETED", None)
    with pytest.raises(TrialTakenError, match="it has ended"):
        desk.get_trial(ONE, "000")


def test_a_silent_worker_that_nobody_replaced_may_go_on(clock):
    desk, book = make(clock)
    desk.create_trial(ONE)
    clock.seconds = 1000.0
    assert desk.present == []
    desk.get_trial(ONE, "000")
    desk.end_trial(ONE, "000", "COMPLETED", None)
    assert book.notes[-1] == ("end", "000", "COMPLETED", None)


def test_two_workers_of_one_name_are_two(clock):
    desk, _ = make(clock)
    twin = {**ONE, "token": "elsewhere:1"}
    assert desk.create_trial(ONE)[0] == "000"
    assert desk.create_trial(twin)[0] == "001"
    with pytest.raises(TrialTakenError, match="worker0:0 has it"):
        desk.get_trial(twin, "000")


def test_slots_of_one_worker_are_told_the_end_together(clock):
    desk, _ = make(clock, most=2)
    slot = {**ONE, "worker": "worker0:1"}
    assert desk.create_trial(ONE)[0] == "000"
    assert desk.create_trial(slot)[0] == "001"
    desk.end_trial(ONE, "000", "COMPLETED", None)
    assert desk.create_trial(ONE)[1] == "IDLE"
    desk.end_trial(slot, "001", "COMPLETED", None)
    assert desk.create_trial(slot)[1] == "STOPPED"
    assert desk.ended


def test_a_worker_that_died_after_the_last_trial_is_not_waited_for(clock):
    desk, _ = make(clock, most=1)
    desk.create_trial(ONE)
    desk.greet(TWO)
    desk.end_trial(ONE, "000", "COMPLETED", None)
    assert desk.create_trial(ONE)[1] == "STOPPED"
    assert desk.present == ["there:1"]
    clock.seconds = 31.0
    assert desk.ended


def test_an_idle_tuner_is_passed_on(clock):
    desk, book = make(clock)
    book.next_is_idle = True
    assert desk.create_trial(ONE)[1] == "IDLE"
    book.next_is_idle = False
    assert desk.create_trial(ONE)[0] == "000"


def test_after_a_restart_of_the_chief_workers_go_on(clock):
    unfinished = {"000": "worker0:0", "001": "worker1:0", "002": None}
    desk, book = make(clock, most=3, unfinished=unfinished)
    # One that went on in the meantime, and one that was started again too.
    desk.get_trial(ONE, "000")
    restarted = {**TWO, "token": "there:2"}
    assert desk.create_trial(restarted)[0] == "001"
    desk.end_trial(ONE, "000", "COMPLETED", None)
    # A trial that no worker had yet.
    assert desk.create_trial(ONE)[0] == "002"
    assert [note for note in book.notes if note[0] == "start"] == [
        ("start", "001", "worker1:0"),
        ("start", "002", "worker0:0"),
    ]


def test_after_a_restart_the_trials_of_missing_workers_wait_a_while(clock):
    desk, _ = make(clock, most=1, unfinished={"000": "worker0:0"})
    assert desk.create_trial(TWO)[1] == "IDLE"
    clock.seconds = 31.0
    assert desk.create_trial(TWO)[0] == "000"


def test_a_worker_that_is_stopped_gives_its_trial_back(clock):
    desk, book = make(clock, most=1)
    desk.create_trial(ONE)
    desk.end_trial(ONE, "000", "INVALID", None)
    assert desk.create_trial(TWO)[0] == "000"
    assert book.notes == [
        ("start", "000", "worker0:0"),
        ("start", "000", "worker1:0"),
    ]


def test_nobody_is_waited_for_where_nothing_is_left_to_do(clock):
    desk, _ = make(clock, most=0)
    assert desk.ended
