import keras
import numpy as np
import pytest

from keras_lbreg.random.threefry import make_key, threefry2x32

FULL = 2**32 - 1


def words(*values):
    return tuple(np.array([value], dtype="uint32") for value in values)


# Known answers of the Random123 library for Threefry-2x32 with 20 rounds:
# key, counter, result.
KNOWN = [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((FULL, FULL), (FULL, FULL), (0x1CB996FC, 0xBB002BE7)),
    (
        (0x13198A2E, 0x03707344),
        (0x243F6A88, 0x85A308D3),
        (0xC4923A9C, 0x483DF7A0),
    ),
]


@pytest.mark.parametrize("xp", [np, keras.ops], ids=["numpy", "keras.ops"])
@pytest.mark.parametrize(("key", "counter", "known"), KNOWN)
def test_known_answers(key, counter, known, xp):
    result = threefry2x32(words(*key), words(*counter), xp)
    assert tuple(int(np.asarray(word)[0]) for word in result) == known


def test_agrees_with_jax():
    jax = pytest.importorskip("jax")
    from jax.extend.random import threefry_2x32

    rng = np.random.default_rng(0)
    key = rng.integers(0, 2**32, 2, dtype="uint32")
    counter = rng.integers(0, 2**32, (2, 100), dtype="uint32")
    ours = threefry2x32((key[:1], key[1:]), (counter[0], counter[1]), np)
    theirs = threefry_2x32(jax.numpy.array(key), counter.ravel())
    np.testing.assert_array_equal(np.concatenate(ours), theirs)


@pytest.mark.tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_graph_and_xla_agree_with_numpy(jit_compile):
    import tensorflow as tf

    counter = (np.arange(50, dtype="uint32"), np.zeros(50, "uint32"))

    @tf.function(jit_compile=jit_compile)
    def encrypt(step):
        return threefry2x32(make_key(7, step), counter)

    for step in (0, 1, 2**31 - 1):
        for ours, theirs in zip(
            encrypt(tf.constant(step)),
            threefry2x32(make_key(7, step, np), counter, np),
            strict=True,
        ):
            np.testing.assert_array_equal(ours, theirs)
