"""The clusters that several test modules look at, each started once."""

from tests.checks import cluster_data as d
from tests.checks import cluster_fits as f
from tests.checks import cluster_trajectories as t
from tests.checks.cluster import run_cluster

TRAJECTORIES = (
    t.momentum,
    t.clip,
    t.noise,
    t.lars,
    t.accumulation,
    t.mix,
    t.norm,
    t.ghosts,
    t.both_paths,
    t.split_paths,
    t.everything,
)


def two_workers():
    return run_cluster(
        # It looks at what nobody has seeded yet.
        d.unseeded_shuffle,
        d.by_default,
        d.by_files,
        d.off_and_finite,
        d.off_and_finite_on_one,
        d.off_and_endless,
        d.different_policies,
        d.different_lengths,
        d.different_kinds,
        d.different_seeds,
        d.different_states_of_python,
        d.unequal,
        d.nothing_on_worker_1,
        d.broadcast,
        f.callbacks,
        f.schedule,
        f.inputs,
        f.several,
        f.predict_unequal,
        f.eager,
        f.loss_scaling,
        f.squared_gradients,
        f.paths,
        f.on_batch,
        f.ragged,
        f.ragged_ghosts,
        f.moving_statistics,
        f.compiled_step,
        f.steps_in_one_execution,
        *TRAJECTORIES,
    )


def three_workers():
    """The first is the one task of a job `"chief"`."""
    return run_cluster(
        d.by_default,
        d.broadcast,
        d.chief,
        # `python -m benchmarks.trajectories` does each technique alone.
        t.noise,
        t.mix,
        t.ghosts,
        t.everything,
        workers=3,
        chief=True,
    )


def two_workers_with_two_devices():
    return run_cluster(
        d.by_default,
        d.broadcast,
        f.callbacks,
        f.several,
        f.compiled_step,
        f.steps_in_one_execution,
        t.noise,
        t.mix,
        t.everything,
        # Last: who knows what they leave behind.
        f.without_hook_of_shapes,
        f.without_hook_of_outputs,
        devices=2,
    )
