import numpy as np
import pytest

from tests.checks.small_workload import small_workload


def test_held_out_rows_are_no_training_rows():
    workload = small_workload()
    part = workload.held_out(0.25, seed=3)
    x, _ = workload.train_data
    kept, held = part.train_data[0], part.validation_data[0]
    assert len(kept) + len(held) == 48
    both = np.concatenate([kept, held])
    np.testing.assert_array_equal(np.sort(both, axis=0), np.sort(x, axis=0))
    for fraction in (0, 1, 2):
        with pytest.raises(ValueError, match="`fraction`"):
            workload.held_out(fraction)
