"""An oracle made anew from a ledger goes on like the one that wrote it."""

import pytest

from keras_lbreg.search import Search
from keras_lbreg.search.oracles.trial_oracle import TrialOracle
from tests.search.tiny_space import tiny_space

ENGINES = ("random", "bayesian", "hyperband", "grid")
EPOCHS = 9
CUTS = (5, 14)
TRIALS = 16


def make(tuner, seed=0):
    search = Search(
        "digits",
        tuner=tuner,
        seed=seed,
        techniques=("ghost_batch_norm", "dreg", "gradient_mix", "group_noise"),
        ranges={"dreg": {"layer": ("dense", "dense_1")}},
    )
    return TrialOracle(search, tiny_space(search), EPOCHS)


def accuracies(values):
    """Two executions, whose merit is the factor and the weight."""
    merit = 0.5 + 0.1 * values["learning_rate_factor"]
    merit -= values.get("dreg.weight", 0.05)
    return [merit - 0.01, merit + 0.01]


class Session:
    """Two slots that run trials, and the ledger of what they did."""

    def __init__(self, oracle, events=()):
        self.oracle = oracle
        self.events = list(events)
        ended = {e["trial"] for e in events if e["event"] == "trial_ended"}
        self.running = [
            (e["trial"], e["values"])
            for e in events
            if e["event"] == "trial_created" and e["trial"] not in ended
        ]

    def step(self):
        """Begin a trial where a slot is free, else end the oldest."""
        status = "RUNNING"
        if len(self.running) < 2:
            trial, status, values = self.oracle.propose()
            if status == "RUNNING":
                self.running.append((trial, values))
                self.note("trial_created", trial, values=values)
                return
        trial, values = self.running.pop(0)
        if int(trial) % 5 == 4:
            self.oracle.end(trial, "FAILED", [])
            self.note("trial_ended", trial, status="FAILED")
            return
        results = accuracies(values)
        for accuracy in results:
            self.note("execution_ended", trial, val_accuracy=accuracy)
        self.oracle.end(trial, "COMPLETED", results)
        self.note("trial_ended", trial, status="COMPLETED")

    def note(self, kind, trial, **fields):
        self.events.append({"event": kind, "trial": trial, **fields})

    def created(self):
        return [e for e in self.events if e["event"] == "trial_created"]


@pytest.fixture(scope="module", params=ENGINES)
def uninterrupted(request):
    session = Session(make(request.param))
    while len(session.created()) < TRIALS:
        session.step()
    return request.param, session


@pytest.mark.parametrize("cut", CUTS)
def test_a_replayed_oracle_proposes_what_the_first_one_did(uninterrupted, cut):
    tuner, whole = uninterrupted
    first = whole.created()[cut]
    events = whole.events[: whole.events.index(first)]
    oracle = make(tuner)
    oracle.replay(events)
    session = Session(oracle, events)
    while len(session.created()) < TRIALS:
        session.step()
    assert session.events == whole.events


def test_values_are_plain_and_trials_numbered(uninterrupted):
    _, whole = uninterrupted
    created = whole.created()
    assert [e["trial"] for e in created] == [f"{i:03}" for i in range(TRIALS)]
    for event in created:
        kinds = {type(value) for value in event["values"].values()}
        assert kinds <= {bool, int, float, str}


# The grid's values are no numbers of a scale: they cannot be others.
@pytest.mark.parametrize("tuner", ENGINES[:3])
def test_what_the_ledger_holds_counts_more_than_a_proposal(tuner):
    events = Session(make(tuner))
    while len(events.created()) < 4:
        events.step()
    # As another version of KerasTuner might have proposed.
    for event in events.created():
        event["values"]["learning_rate_factor"] = 1.75
    oracle = make(tuner)
    oracle.replay(events.events)
    known = [oracle._oracle.get_trial(f"{i:03}") for i in range(4)]
    assert {x.hyperparameters.get("learning_rate_factor") for x in known} == {
        1.75
    }
    ended = [e for e in events.events if e["event"] == "trial_ended"]
    assert ended
    for event in ended:
        mean = sum(accuracies({"learning_rate_factor": 1.75})) / 2
        trial = oracle._oracle.get_trial(event["trial"])
        assert trial.status == "COMPLETED"
        assert trial.score != mean  # The recorded accuracies, not new ones.


def test_the_score_is_the_mean_of_the_executions():
    oracle = make("random")
    trial, _, _ = oracle.propose()
    oracle.end(trial, "COMPLETED", [0.5, 0.75, 1.0])
    assert oracle._oracle.get_trial(trial).score == 0.75


def test_failures_in_a_row_do_not_end_a_search():
    oracle = make("random")
    for _ in range(8):
        trial, status, _ = oracle.propose()
        assert status == "RUNNING"
        oracle.end(trial, "FAILED", [])


def test_a_ledger_with_other_numbers_is_refused():
    event = {"event": "trial_created", "trial": "007", "values": {}}
    with pytest.raises(ValueError, match="trial 007 where 000 comes next"):
        make("random").replay([event])


def test_seeds_give_trials_of_their_own():
    """KerasTuner's seeds 1 and 3 propose the same trials, shifted."""
    seen = {}
    for seed in (0, 1, 2, 3):
        oracle = make("random", seed)
        for _ in range(10):
            trial, _, values = oracle.propose()
            oracle.end(trial, "FAILED", [])
            seen.setdefault(values["learning_rate_factor"], set()).add(seed)
    assert all(len(seeds) == 1 for seeds in seen.values())
    again, oracle = make("random", 3), make("random", 3)
    assert again.propose() == oracle.propose()


def test_a_space_can_be_exhausted():
    search = Search(
        "digits",
        tuner="grid",
        techniques=("lr_scaling",),
        ranges={"lr_scaling": {"warmup_epochs": 0}},
        learning_rate_factor=None,
    )
    oracle = TrialOracle(search, tiny_space(search), EPOCHS)
    rules = []
    while (proposal := oracle.propose())[1] == "RUNNING":
        trial, _, values = proposal
        rules.append(values.get("lr_scaling.rule"))
        oracle.end(trial, "COMPLETED", [0.5])
    assert sorted(map(str, rules)) == ["None", "linear", "sqrt"]
    assert proposal[1] == "STOPPED"
