import keras
import numpy as np
from scipy import stats

from keras_lbreg.random.bits_to_floats import box_muller, cast, uniform


def test_uniform_never_gives_zero():
    bits = np.array([0, 1, 2**31, 2**32 - 1], "uint32")
    for xp in (np, keras.ops):
        numbers = np.asarray(uniform(bits, xp))
        assert numbers.dtype == np.float32
        np.testing.assert_allclose(
            numbers, (bits.astype("float64") + 0.5) / 2**32, rtol=1e-6
        )
        assert numbers.min() > 0


def test_box_muller_is_normal():
    u, v = np.random.default_rng(0).uniform(size=(2, 50_000)).astype("float32")
    pair = box_muller(1 - u, v, np)
    for z, tensor in zip(pair, box_muller(1 - u, v), strict=True):
        assert stats.kstest(z, "norm").pvalue > 1e-3
        np.testing.assert_allclose(tensor, z, atol=1e-5)
    assert abs(np.corrcoef(pair)[0, 1]) < 4 / np.sqrt(50_000)


def test_smallest_uniform_gives_a_finite_number():
    tail = uniform(np.zeros(1, "uint32"), np)
    z, _ = box_muller(tail, np.zeros(1, "float32"), np)
    assert 6 < z[0] < 7


def test_cast():
    assert cast([1.5], "uint32", np).dtype == np.uint32
    as_tensor = cast(keras.ops.ones(2), "uint32")
    assert keras.backend.standardize_dtype(as_tensor.dtype) == "uint32"
