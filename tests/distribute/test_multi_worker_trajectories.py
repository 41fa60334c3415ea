"""Real data, 20 updates: several processes move step by step as one does."""

import functools

import numpy as np
import pytest

from tests.checks import cluster_trajectories as c
from tests.checks import trajectories as t
from tests.checks.cluster import Failure, run_cluster
from tests.checks.clusters import (
    three_workers,
    two_workers,
    two_workers_with_two_devices,
)

# A whole cluster is run within the first test.
pytestmark = [pytest.mark.tensorflow, pytest.mark.timeout(600)]

ALIKE = [
    c.momentum,
    c.clip,
    c.noise,
    c.lars,
    c.accumulation,
    c.ghosts,
    c.both_paths,
]


@pytest.fixture(
    params=[
        pytest.param((two_workers, 2), id="two_workers"),
        pytest.param(
            (three_workers, 3), id="three_workers", marks=pytest.mark.slow
        ),
        pytest.param(
            (two_workers_with_two_devices, 4),
            id="two_workers_with_two_devices",
            marks=pytest.mark.slow,
        ),
    ],
)
def cluster(request):
    """Number of replicas, and what each worker has found."""
    run, replicas = request.param
    return replicas, run()


@functools.cache
def alone(function):
    return function(None)


def of_cluster(results, function):
    """The trajectory that all workers agree about."""
    name = function.__name__
    if name not in results[0]:
        pytest.skip("trained in the other clusters")
    for result in results:
        assert not isinstance(result[name], Failure), result[name]
        np.testing.assert_allclose(
            result[name], results[0][name], atol=1e-6, rtol=0
        )
    points = results[0][name]
    assert len(points) == t.STEPS
    assert np.abs(points[-1] - points[0]).max() > 0.1
    return points


def slices_of_replicas(replicas):
    """Digits with the samples of each batch in the order of the replicas.

    The devices of a worker take turns with those of the other: a batch of four
    parts goes to worker 0, 1, 0, 1.
    """
    x, y = c.digits()
    if replicas == 4:
        order = np.arange(c.BATCH).reshape(2, 2, -1)
        order = np.ravel(order.transpose(1, 0, 2))
        x, y = x[:, order], y[:, order]
    return x, y


def same(ours, theirs):
    np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("function", ALIKE, ids=lambda f: f.__name__)
def test_workers_follow_one_process(cluster, function):
    _, results = cluster
    same(of_cluster(results, function), alone(function))


def test_mixed_workers_are_mixed_groups(cluster):
    replicas, results = cluster
    same(
        of_cluster(results, c.mix),
        t.trajectory(slices_of_replicas(replicas), groups=replicas),
    )


def test_split_paths(cluster):
    replicas, results = cluster
    same(
        of_cluster(results, c.split_paths),
        t.trajectory(
            t.halves_of_replicas_first(c.digits(), replicas),
            make_model=t.split_paths,
        ),
    )


def test_batch_normalization_differs_and_ghosts_of_workers_do_not(cluster):
    replicas, results = cluster
    points = of_cluster(results, c.norm)
    assert np.abs(points - alone(c.norm)).max() > 1e-2
    ghosts = functools.partial(t.with_ghosts, size=c.BATCH // replicas)
    same(points, t.trajectory(c.digits(), make_model=ghosts))


def test_all_techniques_together(cluster):
    replicas, results = cluster
    same(
        of_cluster(results, c.everything),
        c.everything_on_groups(replicas, slices_of_replicas(replicas)),
    )


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not c.has_mnist(), reason="mnist is not prepared")
def test_all_techniques_together_on_mnist():
    results = run_cluster(c.everything_on_mnist)
    same(
        of_cluster(results, c.everything_on_mnist),
        c.everything_on_groups(2, c.mnist()),
    )
