import keras
import numpy as np
import pytest

from keras_lbreg.random.mixing_weights import check_mixing_law, mixing_weights

LAWS = [
    {"law": "dirichlet", "concentration": 0.3},
    {"law": "dirichlet", "concentration": 2.0},
    {"law": "gaussian", "stddev": 0.5},
]


@pytest.mark.parametrize("law", LAWS)
def test_backend_agrees_with_numpy(law):
    for step in range(20):
        ours = mixing_weights(3, step, 6, **law)
        theirs = mixing_weights(3, step, 6, **law, xp=np)
        assert theirs.dtype == np.float32
        np.testing.assert_allclose(np.asarray(ours), theirs, atol=1e-6)


@pytest.mark.tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("law", LAWS)
def test_graph_and_xla_agree_with_numpy(law, jit_compile):
    import tensorflow as tf

    @tf.function(jit_compile=jit_compile)
    def draw(seed, step):
        return mixing_weights(seed, step, 6, **law)

    for step in range(20):
        ours = draw(tf.constant(3, "int64"), tf.constant(step, "int64"))
        theirs = mixing_weights(3, step, 6, **law, xp=np)
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-6)


def test_jit_of_jax_agrees_with_numpy():
    if keras.backend.backend() != "jax":
        pytest.skip("needs the JAX backend")
    import jax

    draw = jax.jit(lambda step: mixing_weights(3, step, 6))
    for step in range(20):
        theirs = mixing_weights(3, step, 6, xp=np)
        np.testing.assert_allclose(draw(step), theirs, atol=1e-6)


def test_gaussian_law():
    z = 4 * np.stack(
        [
            mixing_weights(1, step, 4, law="gaussian", stddev=0.5, xp=np)
            for step in range(3000)
        ]
    )
    assert z.mean() == pytest.approx(1.0, abs=4 * 0.5 / np.sqrt(12_000))
    assert z.std() == pytest.approx(0.5, rel=0.03)
    assert np.abs(np.corrcoef(z.T) - np.eye(4)).max() < 4 / np.sqrt(3000)
    assert z.min() < 0 < z.max()


def test_gaussian_law_without_spread_averages():
    np.testing.assert_array_equal(
        mixing_weights(1, 0, 4, law="gaussian", stddev=0.0, xp=np), 0.25
    )


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("law", "beta"),
        ("concentration", 0.0),
        ("concentration", float("nan")),
        ("stddev", float("inf")),
    ],
)
def test_invalid_law(argument, value):
    arguments = {"law": "dirichlet", "concentration": 1.0, "stddev": 1.0}
    with pytest.raises(ValueError, match=f"argument `{argument}`"):
        check_mixing_law(**(arguments | {argument: value}))
