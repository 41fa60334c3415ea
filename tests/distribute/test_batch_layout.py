import keras
import numpy as np
import pytest

from keras_lbreg import batch_layout, scale_learning_rate
from keras_lbreg.random.mixing_weights import mixing_weights


def test_all_of_it():
    layout = batch_layout(
        4096,
        4,
        ghost_batch_size=128,
        base_batch_size=128,
        base_learning_rate=0.1,
        concentration=1.0,
    )
    assert str(layout).splitlines() == [
        "global batch   4,096",
        "devices        4",
        "replica batch  1,024",
        "ghost batches  8 of 128 per replica, 32 in all",
        "learning rate  0.5657 (0.1 at batch 128, sqrt rule, x5.657)",
        "GradientMix    4 groups, concentration 1: as noisy as a batch of "
        "2,560",
    ]
    assert layout.learning_rate == scale_learning_rate(0.1, 128, 4096)


def test_numbers_of_numpy():
    numbers = {"ghost_batch_size": 128, "groups": 8, "concentration": 0.5}
    ours = batch_layout(
        np.int64(4096),
        np.int32(4),
        **{name: np.asarray(n)[()] for name, n in numbers.items()},
    )
    assert ours == batch_layout(4096, 4, **numbers)


def test_one_device_and_nothing_else():
    assert str(batch_layout(512)).splitlines() == [
        "global batch   512",
        "devices        1",
        "replica batch  512",
    ]


def test_linear_rule():
    layout = batch_layout(
        1024, base_batch_size=256, base_learning_rate=0.1, rule="linear"
    )
    assert layout.learning_rate == pytest.approx(0.4)
    assert "linear rule, x4" in str(layout)


@pytest.mark.parametrize("replicas", [1, 2, 4])
@pytest.mark.parametrize("ghost_batch_size", [1, 5, 16, 48, 64, 100])
def test_ghosts_are_those_of_the_layer(replicas, ghost_batch_size):
    """The layer's moving mean after a batch tells its ghosts apart."""
    from keras_lbreg import GhostBatchNormalization

    layout = batch_layout(128, replicas, ghost_batch_size=ghost_batch_size)
    x = np.random.default_rng(0).normal(size=(128 // replicas, 1))
    norm = GhostBatchNormalization(
        ghost_batch_size=ghost_batch_size, momentum=0.5
    )
    norm(x.astype("float32"), training=True)
    count, last = layout.ghosts_per_replica, layout.last_ghost_size
    ends = [
        *range(ghost_batch_size, ghost_batch_size * count, ghost_batch_size)
    ]
    ghosts = np.split(x, ends)
    assert (len(ghosts), len(ghosts[-1])) == (count, last)
    expected = 0.0
    for ghost in ghosts:
        expected = 0.5 * expected + 0.5 * ghost.mean()
    assert float(norm.moving_mean[0]) == pytest.approx(expected, abs=1e-5)
    assert layout.ghosts == count * replicas


def test_ghosts_with_a_remainder_and_too_large_ones():
    assert "1 of 48 and 1 of 80 per replica, 8 in all" in str(
        batch_layout(512, 4, ghost_batch_size=48)
    )
    layout = batch_layout(512, 4, ghost_batch_size=256)
    assert "1 of 128 per replica, 4 in all" in str(layout)
    assert "128 samples instead of 256" in str(layout)


@pytest.mark.parametrize(
    ("replicas", "groups", "concentration"),
    [(4, None, 1.0), (2, None, 0.3), (1, 8, 2.0), (2, 8, 1.0)],
)
def test_effective_batch_has_the_noise_of_the_mixed_gradient(
    replicas, groups, concentration
):
    """Samples of variance 1: the mixed mean has that of B_eff samples."""
    layout = batch_layout(
        512, replicas, concentration=concentration, groups=groups
    )
    k = groups or replicas
    assert layout.groups == k
    squares = [
        np.sum(
            mixing_weights(0, step, k, concentration=concentration, xp=np) ** 2
        )
        for step in range(3000)
    ]
    variance = np.mean(squares) / (512 / k)
    assert layout.effective_batch_size == pytest.approx(1 / variance, rel=0.02)


def test_limits_of_the_effective_batch():
    assert batch_layout(
        512, 4, concentration=1e9
    ).effective_batch_size == pytest.approx(512)
    assert batch_layout(
        512, 4, concentration=1e-9
    ).effective_batch_size == pytest.approx(128)
    one = batch_layout(512, concentration=1.0)
    assert one.effective_batch_size == 512
    assert "nothing to mix" in str(one)


@pytest.mark.tensorflow
def test_a_strategy_of_tensorflow():
    from tests.checks.replicas import mirrored_strategy

    layout = batch_layout(512, mirrored_strategy(4), ghost_batch_size=16)
    assert layout == batch_layout(512, 4, ghost_batch_size=16)


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="needs the JAX backend"
)
def test_devices_of_jax_share_one_batch():
    distribution = keras.distribution.DataParallel(
        devices=["cpu:0", "cpu:1", "cpu:2", "cpu:3"]
    )
    layout = batch_layout(512, distribution, ghost_batch_size=128)
    assert (layout.replica_batch_size, layout.ghosts) == (128, 4)
    assert "ghost batches  4 of 128" in str(layout).splitlines()
    across = batch_layout(512, distribution, ghost_batch_size=256)
    assert "ghost batches  2 of 256" in str(across).splitlines()
    assert "two devices" in str(across)
    # Nothing is mixed by the optimizer there.
    assert batch_layout(512, distribution, concentration=1.0).groups == 1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"global_batch_size": 0}, ValueError, "`global_batch_size`.*above 0"),
        ({"global_batch_size": 4.5}, ValueError, "`global_batch_size`"),
        ({"strategy": 3}, ValueError, "multiple of.* 3,.*512"),
        ({"strategy": 1024}, ValueError, "multiple of.* 1024"),
        ({"strategy": 0}, ValueError, "`strategy`.*above 0"),
        ({"strategy": "mirrored"}, TypeError, "`strategy`.*'mirrored'"),
        ({"strategy": True}, TypeError, "`strategy`"),
        ({"ghost_batch_size": 0}, ValueError, "`ghost_batch_size`"),
        ({"base_batch_size": 32}, ValueError, "`base_learning_rate`.*None"),
        ({"base_learning_rate": 0.1}, ValueError, "`base_batch_size`.*None"),
        (
            {"base_batch_size": 32, "base_learning_rate": 0.1, "rule": "x"},
            ValueError,
            "`rule`",
        ),
        ({"concentration": 0}, ValueError, "`concentration`"),
        ({"concentration": float("nan")}, ValueError, "`concentration`"),
        ({"groups": 0}, ValueError, "`groups`"),
    ],
)
def test_nonsense(arguments, error, message):
    with pytest.raises(error, match=message):
        batch_layout(**{"global_batch_size": 512, **arguments})
