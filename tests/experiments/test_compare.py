from keras_lbreg.experiments import arm_statistics, compare, read_results
from keras_lbreg.experiments.events import CompareStarted, RunEnded, RunStarted
from tests.experiments.small_problem import experiment


def test_compare_runs_all_arms_seed_by_seed_and_only_once(tmp_path):
    events = []
    chosen = experiment(tmp_path, seeds=2, epochs=2)
    results = compare(chosen, on_event=events.append)
    begun = [(e.arm, e.seed) for e in events if isinstance(e, RunStarted)]
    assert begun == [
        ("small_batch", 0),
        ("large_batch", 0),
        ("small_batch", 1),
        ("large_batch", 1),
    ]
    assert isinstance(events[0], CompareStarted)
    assert (events[0].total, events[0].pending) == (4, 4)
    assert events[0].pending_samples == {"small_batch": 384, "large_batch": 384}
    assert results.complete
    assert results == read_results(tmp_path / "run")
    small, large = arm_statistics(results)
    assert small.finished == large.finished == 2
    assert small.updates.mean == 24
    assert large.updates.mean == 6

    events.clear()
    assert compare(chosen, on_event=events.append) == results
    assert events[0].pending == 0
    assert events[0].pending_samples == {}
    assert all(e.skipped for e in events if isinstance(e, RunEnded))


def test_seeds_can_be_added(tmp_path):
    one = experiment(tmp_path, arms=("large_batch",), epochs=1)
    compare(one)
    events = []
    two = experiment(tmp_path, arms=("large_batch",), epochs=1, seeds=2)
    results = compare(two, on_event=events.append)
    assert events[0].pending == 1
    assert [run.seed for run in results.runs] == [0, 1]
