import keras
import numpy as np
import pytest
from scipy import stats

from keras_lbreg.random.counter_based import (
    box_muller,
    cast,
    make_key,
    normal,
    normal_keys,
    normals,
    resolve_seed,
    threefry2x32,
    uniform,
)

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


def draw(shape=(50, 400), seed=1, step=0, index=0):
    [key] = normal_keys(seed, step, [index])
    return keras.ops.convert_to_numpy(normal(shape, key))


def test_law():
    noise = draw()
    assert noise.dtype == np.float32
    assert noise.shape == (50, 400)
    assert stats.kstest(noise.ravel(), "norm").pvalue > 1e-3
    rows = np.corrcoef(noise)
    assert np.abs(rows - np.eye(50)).max() < 5 / np.sqrt(400)


@pytest.mark.parametrize("shape", [(), (1,), (3, 5, 2)])
def test_shapes(shape):
    assert draw(shape).shape == shape


def test_keys_are_a_function_of_seed_step_and_index():
    reference = draw()
    np.testing.assert_array_equal(draw(), reference)
    for other in ({"seed": 2}, {"step": 1}, {"index": 1}):
        correlation = np.corrcoef(reference.ravel(), draw(**other).ravel())
        assert abs(correlation[0, 1]) < 4 / np.sqrt(20_000)


def test_key_does_not_depend_on_the_other_variables():
    alone = normal_keys(1, 2, [5])[0]
    among = normal_keys(1, 2, [0, 5, 9])[1]
    np.testing.assert_array_equal(np.asarray(alone), np.asarray(among))


SHAPES = [(3, 5), (), (15,), (5, 3)]


def draw_many(step):
    return list(normals(SHAPES, normal_keys(1, step, [0, 1, 2, 3])))


def test_many_draws_are_single_ones():
    for i, noise in enumerate(draw_many(4)):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(noise), draw(SHAPES[i], 1, 4, i)
        )


@pytest.mark.tensorflow
def test_many_draws_in_a_graph_and_under_xla():
    import tensorflow as tf

    graph = tf.function(draw_many)(tf.constant(4))
    compiled = tf.function(draw_many, jit_compile=True)(tf.constant(4))
    for i, noise in enumerate(draw_many(4)):
        np.testing.assert_array_equal(graph[i], noise)
        np.testing.assert_allclose(compiled[i], noise, atol=1e-6)


@pytest.mark.tensorflow
def test_draws_of_one_size_share_their_operations():
    import tensorflow as tf

    def operations(shapes):
        def noise(step):
            keys = normal_keys(1, step, list(range(len(shapes))))
            return list(normals(shapes, keys))

        graph = tf.function(noise).get_concrete_function(tf.constant(4)).graph
        return len(graph.get_operations())

    added = operations([(3, 4)] * 11) - operations([(3, 4)])
    assert added <= 10 * 5


@pytest.mark.tensorflow
def test_graph_and_xla_draw_the_same_numbers():
    import tensorflow as tf

    def noise(step):
        [key] = normal_keys(1, step, [3])
        return normal((257, 3), key)

    eager = noise(tf.constant(4))
    graph = tf.function(noise)(tf.constant(4))
    compiled = tf.function(noise, jit_compile=True)(tf.constant(4))
    np.testing.assert_array_equal(graph, eager)
    np.testing.assert_allclose(compiled, eager, atol=1e-6)


def test_jit_of_jax_draws_the_same_numbers():
    if keras.backend.backend() != "jax":
        pytest.skip("needs the JAX backend")
    import jax

    def noise(step):
        [key] = normal_keys(1, step, [3])
        return normal((257, 3), key)

    np.testing.assert_allclose(jax.jit(noise)(4), noise(4), atol=1e-6)


def test_other_backends_are_refused(monkeypatch):
    key = normal_keys(1, 0, [0])[0]
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(RuntimeError, match="backend=torch"):
        normal((2,), key)


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
