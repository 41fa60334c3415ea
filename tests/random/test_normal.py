import keras
import numpy as np
import pytest
from scipy import stats

from keras_lbreg.random.normal import normal, normal_keys, normals


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
