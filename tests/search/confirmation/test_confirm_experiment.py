"""What the winner is compared with."""

import pytest

from keras_lbreg.search.confirmation.confirm_experiment import (
    confirm_experiment,
    confirm_path,
    read_confirmation,
)
from keras_lbreg.search.read_search import read_search
from tests.search.fake_confirmation import write_confirmation
from tests.search.fake_search import write_search


@pytest.fixture
def results(tmp_path):
    return read_search(write_search(tmp_path, confirm_seeds=4))


def test_no_seed_and_no_data_of_the_search(results):
    experiment = confirm_experiment(results)
    used = {run.seed for trial in results.trials for run in trial.executions}
    assert used == {0, 1}
    assert not used & set(experiment.seed_range)
    assert len(experiment.seed_range) == 4
    assert results.search["holdout"] > 0
    assert experiment.holdout == 0
    assert experiment.until is None


def test_four_arms_at_the_winners_batch(results):
    experiment = confirm_experiment(results)
    assert experiment.arms == ("small_batch", "large_batch", "lr", "tuned")
    tuned = experiment.get_arm("tuned")
    winner = results.best.configuration
    assert dict(tuned.hyperparameters) == winner.techniques
    assert tuned.learning_rate_factor == winner.learning_rate_factor
    assert experiment.batch_size == winner.batch_size
    assert experiment.out_dir == str(confirm_path(results))


def test_no_seeds_are_a_mistake(tmp_path):
    results = read_search(write_search(tmp_path, confirm_seeds=0))
    with pytest.raises(ValueError, match="seeds=0"):
        confirm_experiment(results)


def test_a_comparison_belongs_to_its_winner(tmp_path, results):
    assert read_confirmation(results) is None
    write_confirmation(results)
    assert read_confirmation(results).arm_names[-1] == "tuned"
    # Another best trial, found since.
    better = {"batch_size": 512, "learning_rate_factor": 20.0}
    better |= {"lr_scaling": False, "ghost_batch_norm": True}
    better["ghost_batch_norm.ghost_batch_size"] = 32
    values = [trial.values for trial in results.trials]
    values[3] = better
    write_search(tmp_path, values=values, failed=(), noise=0.0)
    assert read_search(tmp_path).best.id == "003"
    assert read_confirmation(read_search(tmp_path)) is None
