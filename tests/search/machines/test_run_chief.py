"""A search on several machines: processes on this one, over loopback."""

import collections
import json
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
from keras_lbreg.search.machines.run_chief import run_chief
from keras_lbreg.search.machines.search_role import SearchRole
from keras_lbreg.search.oracles.trial_oracle import TrialOracle
from tests.search.search_member import make_search
from tests.search.search_members import Members

TRIALS = 3

# Where other tests run at the same time, so many processes take long.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """A chief and two workers that have searched."""
    folder = tmp_path_factory.mktemp("members")
    with Members(folder, TRIALS, epochs=1) as members:
        processes = [
            members.start(name) for name in ("worker0", "worker1", "chief")
        ]
        for process in processes:
            assert process.wait(400) == 0, members.all_printed()
        yield members


def events_of(members, kind):
    return [event for event in members.ledger() if event["event"] == kind]


@pytest.mark.slow
def test_every_trial_is_run_once_and_by_a_worker(members):
    created = [event["trial"] for event in events_of(members, TRIAL_CREATED)]
    assert created == ["000", "001", "002"]
    for kind in (TRIAL_STARTED, EXECUTION_ENDED, TRIAL_ENDED):
        ids = [event["trial"] for event in events_of(members, kind)]
        assert sorted(ids) == created
    statuses = {event["status"] for event in events_of(members, TRIAL_ENDED)}
    assert statuses == {"COMPLETED"}
    workers = {event["worker"] for event in events_of(members, TRIAL_STARTED)}
    assert workers == {"worker0:0", "worker1:0"}


@pytest.mark.slow
def test_results_come_to_the_chief_as_they_are(members):
    results = read_search(members.search)
    assert results.ended_why == "trials"
    for trial in results.trials:
        [record] = read_journal(journal_of(members, trial.id))
        [execution] = trial.executions
        # All digits of it: KerasTuner's own message has 32 bits.
        assert execution.val_accuracy == record["val_accuracy"] == trial.score


@pytest.mark.slow
def test_workers_try_what_a_search_on_one_machine_would(members):
    results = read_search(members.search)
    search = make_search(members.search, TRIALS, 1)
    oracle = TrialOracle(search, results.space, epochs=1)
    expected = [oracle.propose()[2] for _ in range(TRIALS)]
    assert [trial.values for trial in results.trials] == expected


@pytest.mark.slow
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
@pytest.mark.timeout(900)
def test_killed_chief_and_killed_worker_lose_nothing(tmp_path):
    epochs, trials = 40, 4
    with Members(tmp_path, trials, epochs) as members:
        members.start("worker0")
        victim = members.start("worker1")
        chief = members.start("chief")
        wait_until_trains("worker0:0", members)
        kill(chief)
        # The workers go on meanwhile.
        time.sleep(3)
        chief = members.start("chief")
        wait_until_trains("worker1:0", members)
        kill(victim)
        assert chief.wait(600) == 0, members.all_printed()
        started = collections.Counter(
            event["trial"] for event in events_of(members, TRIAL_STARTED)
        )
        # Only the trial of the killed worker was begun again.
        assert sorted(started.values()) == [1, 1, 1, 2]
        for kind in (TRIAL_CREATED, EXECUTION_ENDED, TRIAL_ENDED):
            assert len(events_of(members, kind)) == trials
        for trial in read_search(members.search).trials:
            records = read_journal(journal_of(members, trial.id))
            # A run that began again would have begun its journal again.
            assert [x["epoch"] for x in records] == list(range(1, epochs + 1))


def kill(process):
    process.kill()
    process.wait()


def journal_of(members, trial):
    return f"{members.search}/trials/{trial}/runs/trial/seed-0/epochs.jsonl"


def wait_until_trains(worker, members, seconds=300):
    """Wait until a worker is in the epochs of a trial."""

    def trains():
        events = members.ledger()
        ended = {e["trial"] for e in events if e["event"] == TRIAL_ENDED}
        last = {e["trial"]: e for e in events if e["event"] == TRIAL_STARTED}
        return any(
            event["worker"] == worker
            and trial not in ended
            and read_journal(journal_of(members, trial))
            for trial, event in last.items()
        )

    deadline = time.monotonic() + seconds
    while not trains():
        assert time.monotonic() < deadline, members.all_printed()
        time.sleep(0.05)
