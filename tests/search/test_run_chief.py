"""A search on several machines: processes on this one, over loopback."""

import collections
import json
import signal
import time
import types

import pytest

from keras_lbreg.cli.launcher.free_ports import free_ports
from keras_lbreg.experiments.journal import read_journal
from keras_lbreg.search import read_search
from keras_lbreg.search.ledger import (
    EXECUTION_ENDED,
    TRIAL_CREATED,
    TRIAL_ENDED,
    TRIAL_STARTED,
)
from keras_lbreg.search.run_chief import run_chief
from keras_lbreg.search.search_role import SearchRole
from keras_lbreg.search.trial_oracle import TrialOracle
from tests.search.search_member import make_search
from tests.search.search_members import Members

TRIALS = 4


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """A chief and two workers that have searched."""
    folder = tmp_path_factory.mktemp("members")
    with Members(folder, TRIALS, epochs=1) as members:
        processes = [
            members.start(name) for name in ("worker0", "worker1", "chief")
        ]
        for process in processes:
            assert process.wait(200) == 0, members.all_printed()
        yield members


def events_of(members, kind):
    return [event for event in members.ledger() if event["event"] == kind]


def test_every_trial_is_run_once_and_by_a_worker(members):
    created = [event["trial"] for event in events_of(members, TRIAL_CREATED)]
    assert created == ["000", "001", "002", "003"]
    for kind in (TRIAL_STARTED, EXECUTION_ENDED, TRIAL_ENDED):
        ids = [event["trial"] for event in events_of(members, kind)]
        assert sorted(ids) == created
    statuses = {event["status"] for event in events_of(members, TRIAL_ENDED)}
    assert statuses == {"COMPLETED"}
    workers = {event["worker"] for event in events_of(members, TRIAL_STARTED)}
    assert workers == {"worker0:0", "worker1:0"}


def test_results_come_to_the_chief_as_they_are(members):
    results = read_search(members.search)
    assert results.ended_why == "trials"
    for trial in results.trials:
        summary = f"{members.search}/trials/{trial.id}/runs/trial/seed-0"
        [record] = read_journal(f"{summary}/epochs.jsonl")
        [execution] = trial.executions
        # All digits of it: KerasTuner's own message has 32 bits.
        assert execution.val_accuracy == record["val_accuracy"] == trial.score


def test_workers_try_what_a_search_on_one_machine_would(members):
    results = read_search(members.search)
    search = make_search(members.search, TRIALS, 1)
    oracle = TrialOracle(search, results.space, epochs=1)
    expected = [oracle.propose()[2] for _ in range(TRIALS)]
    assert [trial.values for trial in results.trials] == expected


def test_the_chief_tells_of_all_trials_and_a_worker_of_its_own(members):
    told = {
        name: collections.Counter(
            kind for kind, _ in map(json.loads, members.lines(name))
        )
        for name in ("chief", "worker0", "worker1")
    }
    assert told["chief"]["SearchStarted"] == 1
    assert told["chief"]["SearchEnded"] == 1
    for kind in ("TrialStarted", "TrialEnded"):
        own = [told[name][kind] for name in ("worker0", "worker1")]
        assert min(own) >= 1
        assert sum(own) == told["chief"][kind] == TRIALS


class Book:
    """Has no trials yet, or is done."""

    def __init__(self, done):
        self.done = done

    def unfinished(self):
        return {}

    def closed(self):
        return self.done


@pytest.fixture
def role():
    return SearchRole("chief", f"127.0.0.1:{free_ports(1)[0]}")


def listener(interrupted=False):
    return types.SimpleNamespace(wait=lambda seconds: interrupted)


def test_a_chief_with_nothing_left_to_do_waits_for_nobody(role):
    assert run_chief(role, Book(done=True), listener()) is True


def test_a_chief_without_workers_gives_up(role):
    with pytest.raises(ConnectionError, match=f"No worker .* {role.address}"):
        run_chief(role, Book(done=False), listener(), patience=0.1)


def test_an_interrupted_chief_leaves(role):
    assert run_chief(role, Book(done=False), listener(True)) is False


@pytest.mark.slow
def test_killed_chief_and_killed_worker_lose_nothing(tmp_path):
    epochs = 30
    with Members(tmp_path, 6, epochs) as members:
        members.start("worker0")
        victim = members.start("worker1")
        chief = members.start("chief")
        wait_for_epochs(members, chief)
        chief.send_signal(signal.SIGKILL)
        chief.wait()
        # Workers go on without it.
        time.sleep(3)
        chief = members.start("chief")
        wait_for_trial_of(members, "worker1:0")
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        ended = chief.wait(280)
        assert ended == 0, members.all_printed()
        started = collections.Counter(
            event["trial"] for event in events_of(members, TRIAL_STARTED)
        )
        # Only the trial of the killed worker was begun again.
        assert sorted(started.values()) == [1, 1, 1, 1, 1, 2]
        for kind in (TRIAL_CREATED, EXECUTION_ENDED, TRIAL_ENDED):
            assert len(events_of(members, kind)) == 6
        for trial in read_search(members.search).trials:
            run = f"{members.search}/trials/{trial.id}/runs/trial/seed-0"
            records = read_journal(f"{run}/epochs.jsonl")
            assert [x["epoch"] for x in records] == list(range(1, epochs + 1))


def wait_for_epochs(members, process):
    """Wait until a trial of both workers is in its epochs."""

    def both_train():
        running = {
            event["trial"] for event in events_of(members, TRIAL_STARTED)
        }
        return (
            sum(
                bool(
                    read_journal(
                        f"{members.search}/trials/{trial}/runs/trial/seed-0/"
                        "epochs.jsonl"
                    )
                )
                for trial in running
            )
            >= 2
        )

    wait_until(both_train, members)


def wait_for_trial_of(members, worker):
    """Wait until a worker has a trial that is not ended."""

    def works():
        events = members.ledger()
        ended = {e["trial"] for e in events if e["event"] == TRIAL_ENDED}
        last = {e["trial"]: e for e in events if e["event"] == TRIAL_STARTED}
        return any(
            event["worker"] == worker and trial not in ended
            for trial, event in last.items()
        )

    wait_until(works, members)


def wait_until(condition, members, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, members.all_printed()
        time.sleep(0.1)
