import keras
import numpy as np
import pytest

from keras_lbreg.random.seeds import resolve_seed


@pytest.mark.parametrize("seed", [0, 7, 2**31 - 1, np.int64(5)])
def test_given_seeds_are_kept(seed):
    assert resolve_seed(seed) == seed
    assert type(resolve_seed(seed)) is int


def test_random_seeds_differ():
    seeds = {resolve_seed(None) for _ in range(20)}
    assert len(seeds) == 20
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_keras_controls_random_seeds():
    def seeds(seed):
        keras.utils.set_random_seed(seed)
        return [resolve_seed(None) for _ in range(3)]

    assert seeds(1) == seeds(1)
    assert not set(seeds(1)) & set(seeds(2))


@pytest.mark.parametrize("seed", [-1, 2**31, 0.5, "1", False])
def test_invalid_seeds(seed):
    with pytest.raises(ValueError, match="argument `seed`"):
        resolve_seed(seed)
