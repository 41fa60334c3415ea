import logging

import pytest

from keras_lbreg.search.machines.chief_errors import (
    ChiefSilentError,
    TrialTakenError,
)
from keras_lbreg.search.machines.remote_desk import RemoteDesk, wait_for_chief
from keras_lbreg.search.machines.search_role import SearchRole

EXECUTION = {"execution": 0, "seed": 0, "val_accuracy": 0.5}


class Client:
    """A chief with endless trials; it notes what it hears."""

    def __init__(self):
        self.heard = []
        self.away = False
        self.status = "RUNNING"
        self.taken = set()
        self.created = 0

    def greet(self, worker):
        self._hear("greet", worker)

    def create_trial(self, worker):
        self._hear("create", worker)
        if self.status != "RUNNING":
            return None, self.status, {}
        self.created += 1
        return f"{self.created:03}", "RUNNING", {"batch_size": 512}

    def get_trial(self, worker, trial_id, progress):
        self._hear("get", worker, trial_id, progress)

    def update_trial(self, worker, trial_id, execution):
        self._hear("update", worker, trial_id, execution)

    def end_trial(self, worker, trial_id, status, reason):
        self._hear("end", worker, trial_id, status, reason)

    def _hear(self, *message):
        if self.away:
            raise ChiefSilentError("nobody")
        if message[2:3] and message[2] in self.taken:
            raise TrialTakenError(f"worker9:0 has trial {message[2]}")
        self.heard.append(message)


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def client():
    return Client()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def desk(client, clock):
    return RemoteDesk(client, "10.0.0.1:8000", 600.0, clock)


def test_what_happens_is_reported_in_order(desk, client):
    assert desk.create_trial("w:0") == ("001", "RUNNING", {"batch_size": 512})
    assert desk.create_trial("w:1")[0] == "002"
    desk.update_trial("w:0", "001", EXECUTION)
    desk.end_trial("w:0", "001", "COMPLETED")
    assert client.heard == [
        ("create", "w:0"),
        ("create", "w:1"),
        ("update", "w:0", "001", EXECUTION),
        ("end", "w:0", "001", "COMPLETED", None),
    ]


def test_beats_tell_the_latest_progress_every_few_seconds(desk, client, clock):
    desk.create_trial("w:0")
    for clock.seconds in range(1, 10):
        desk.get_trial("w:0", "001", {"epoch": clock.seconds})
    beats = [message for message in client.heard if message[0] == "get"]
    assert [progress["epoch"] for *_, progress in beats] == [1, 4, 7]


def test_a_trial_without_news_is_told_of_all_the_same(desk, client, clock):
    desk.create_trial("w:0")
    for clock.seconds in range(1, 10):
        desk.get_trial("w:0", "001", None)
    assert client.heard[1:] == 3 * [("get", "w:0", "001", None)]


def test_an_idle_chief_is_not_asked_all_the_time(desk, client, clock):
    client.status = "IDLE"
    for _ in range(10):
        assert desk.create_trial("w:0")[1] == "IDLE"
        clock.seconds += 0.2
    assert len(client.heard) == 2


def test_the_end_is_passed_on(desk, client):
    client.status = "STOPPED"
    assert desk.create_trial("w:0")[1] == "STOPPED"


def test_nothing_is_lost_while_the_chief_is_away(desk, client, clock, caplog):
    desk.create_trial("w:0")
    desk.create_trial("w:1")
    client.away = True
    with caplog.at_level(logging.WARNING):
        desk.update_trial("w:0", "001", EXECUTION)
        desk.end_trial("w:0", "001", "FAILED", "nan")
        for clock.seconds in range(1, 500):
            desk.get_trial("w:1", "002")
            assert desk.create_trial("w:0")[1] == "IDLE"
    assert [record.message[:12] for record in caplog.records] == [
        "The chief at"
    ]
    client.away = False
    clock.seconds = 501
    client.heard.clear()
    desk.get_trial("w:1", "002")
    assert client.heard == [
        ("update", "w:0", "001", EXECUTION),
        ("end", "w:0", "001", "FAILED", "nan"),
        ("get", "w:1", "002", None),
    ]


def test_a_chief_that_stays_away_ends_the_worker(desk, client, clock):
    desk.create_trial("w:0")
    client.away = True

    def go_on():
        for clock.seconds in range(1000):
            desk.get_trial("w:0", "001")

    with pytest.raises(
        ConnectionError, match=r"10\.0\.0\.1:8000 has not answered for 600"
    ):
        go_on()
    assert clock.seconds > 600


def test_a_trial_that_another_has_by_now_is_given_up(desk, client, clock):
    desk.create_trial("w:0")
    client.taken = {"001"}
    clock.seconds = 10
    with pytest.raises(TrialTakenError):
        desk.get_trial("w:0", "001")
    client.heard.clear()
    desk.leave()
    assert client.heard == []


def test_results_of_a_trial_that_another_has_hinder_nothing(desk, client):
    desk.create_trial("w:0")
    client.taken = {"001"}
    desk.update_trial("w:0", "001", EXECUTION)
    desk.end_trial("w:0", "001", "COMPLETED")
    assert desk.create_trial("w:0")[0] == "002"


def test_a_worker_that_leaves_gives_its_trials_back(desk, client):
    desk.create_trial("w:0")
    client.heard.clear()
    desk.leave()
    assert client.heard == [("end", "w:0", "001", "INVALID", None)]


def test_a_missing_chief_is_told_with_its_address(client):
    client.away = True
    role = SearchRole("w", "10.0.0.1:8000")
    with pytest.raises(ConnectionError, match=r"answers at 10\.0\.0\.1:8000"):
        wait_for_chief(client, role, timeout=-1)
    client.away = False
    wait_for_chief(client, role, timeout=-1)
    assert client.heard == [("greet", "w")]
