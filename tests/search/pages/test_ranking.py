"""The order of the trials, and the noise that blurs it."""

import math

import numpy as np
import pytest

from keras_lbreg.experiments.statistics import Stat
from keras_lbreg.search.pages.ranking import pooled_std, rank
from keras_lbreg.search.read_search import read_search
from tests.search.fake_search import write_search


def test_best_first_without_failed_and_unfinished(tmp_path):
    write_search(tmp_path, trials=12, failed=(3, 5), running=(11,))
    results = read_search(tmp_path)
    ranking = rank(results)
    scores = [trial.score for trial in ranking.trials]
    assert len(scores) == 9
    assert scores == sorted(scores, reverse=True)
    assert ranking.trials[0] is results.best


def test_trials_stopped_early_stand_apart(tmp_path):
    # Whatever they score.
    write_search(tmp_path, trials=12, failed=(), short=range(9))
    results = read_search(tmp_path)
    ranking = rank(results)
    assert {trial.id for trial in ranking.trials} == {"009", "010", "011"}
    assert len(ranking.shorter) == 9
    assert ranking.trials[0] is results.best
    assert all(trial in ranking.trials for trial in ranking.within)


def test_the_noise_that_was_put_in_is_found(tmp_path):
    write_search(tmp_path, trials=80, executions=3, failed=(), noise=0.004)
    ranking = rank(read_search(tmp_path))
    # 40 trials of 3 seeds: 80 degrees of freedom, 8 % standard error.
    assert ranking.seed_std == pytest.approx(0.004, rel=0.25)
    assert ranking.margin == 2 * ranking.seed_std * math.sqrt(2 / 3)
    best = ranking.trials[0].score
    behind = [best - trial.score for trial in ranking.trials[1:]]
    count = sum(gap < ranking.margin for gap in behind)
    assert 0 < count < len(behind)
    assert ranking.within == ranking.trials[1 : 1 + count]


def test_one_seed_tells_nothing_of_noise(tmp_path):
    write_search(tmp_path, trials=8, executions=1)
    ranking = rank(read_search(tmp_path))
    assert math.isnan(ranking.seed_std)
    assert math.isnan(ranking.margin)
    assert ranking.within == ()


def test_no_trial_has_completed(tmp_path):
    write_search(tmp_path, trials=2, failed=(0, 1))
    assert rank(read_search(tmp_path)).trials == ()


def test_pooled_deviation_weighs_by_degrees_of_freedom():
    samples = [1.0, 2.0], [5.0, 6.0, 10.0], [7.0]
    squares = sum(np.var(own) * len(own) for own in samples)
    pooled = pooled_std(Stat.of(own) for own in samples)
    assert pooled == pytest.approx(math.sqrt(squares / 3))
