import pytest

from keras_lbreg.search import Ledger

CREATED = {"trial": "000", "values": {"dreg": True}, "elapsed": 1.0}


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append("session", time="now", pid=1, versions={}, elapsed=0.0)
    ledger.append("trial_created", **CREATED)
    return ledger


def test_events_are_read_as_they_were_written(ledger):
    assert Ledger(ledger.path).read()[1] == {
        "event": "trial_created",
        **CREATED,
    }


def test_a_half_written_line_is_left_out_and_then_replaced(ledger):
    with open(ledger.path, "ab") as file:
        file.write(b'{"event": "trial_end')
    again = Ledger(ledger.path)
    assert len(again.read()) == 2
    # Reading leaves the file alone: its writer may be in mid write.
    assert ledger.path.read_bytes().endswith(b"trial_end")
    again.append("search_ended", why="trials", elapsed=2.0)
    assert [event["event"] for event in Ledger(ledger.path).read()] == [
        "session",
        "trial_created",
        "search_ended",
    ]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("nonsense", "line 3 is damaged"),
        ('{"event": "pause", "elapsed": 1}', "no event 'pause'"),
        ('{"event": "search_ended", "elapsed": 1}', "why is missing"),
        ('{"event": "search_ended", "why": "x"}', "elapsed is missing"),
        (
            '{"event": "trial_started", "trial": "001", "worker": "a", '
            '"elapsed": 2}',
            "trial 001 was never created",
        ),
        (
            '{"event": "trial_created", "trial": "000", "values": {}, '
            '"elapsed": 2}',
            "trial 000 is created twice",
        ),
        (
            '{"event": "trial_ended", "trial": "000", "status": "GOOD", '
            '"score": null, "reason": null, "peak_memory": 1, "elapsed": 2}',
            "no status 'GOOD'",
        ),
        (
            '{"event": "trial_ended", "trial": "000", "status": "FAILED", '
            '"score": "high", "reason": null, "peak_memory": 1, "elapsed": 2}',
            "expected a number or null as trial_ended.score",
        ),
    ],
)
def test_a_damaged_line_is_an_error_that_names_it(ledger, line, why):
    with open(ledger.path, "a") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match=why) as raised:
        Ledger(ledger.path).read()
    assert "ledger.jsonl: line 3" in str(raised.value)
