"""`keras.distribution.DataParallel` over virtual devices: one trajectory.

JAX compiles the step as if there were one device. What a technique computes
does not depend on how many there are; only what they have to tell each other.
"""

import contextlib
import functools
import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_lbreg.cli.launch import free_ports
from tests.checks import hlo, train_steps
from tests.checks.data_parallel import (
    BATCH,
    check_equal,
    digits,
    distribution,
    fit,
    floats,
    scope,
)

pytestmark = [
    pytest.mark.skipif(
        keras.backend.backend() != "jax", reason="needs the JAX backend"
    ),
    pytest.mark.filterwarnings("ignore:`GradientMix` has no effect on one"),
    pytest.mark.filterwarnings("ignore:`shuffle=True` was passed"),
]


@pytest.fixture(scope="module", autouse=True)
def quick_compilation():
    import jax

    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@functools.cache
def train(name, devices):
    """`fit` on several devices, or on the one that is used by default (0)."""
    with scope(devices):
        return fit(name)


@pytest.mark.parametrize(
    ("name", "devices"),
    [
        # Every normalization sees the whole batch, as on one device: replicas
        # of `tf.distribute` would each normalize their own part.
        ("plain", 4),
        ("all_both", 8),
        # With ghosts that no device has whole.
        ("all_split", 2),
    ],
)
def test_devices_follow_one_trajectory(name, devices):
    model, logs = train(name, 0)
    together, logs_of_all = train(name, devices)
    check_equal((floats(together), logs_of_all), (floats(model), logs))
    before = train_steps.compiled_model(name).get_layer("conv").kernel
    after = model.get_layer("conv").kernel
    assert np.abs(np.asarray(after) - np.asarray(before)).max() > 0.05


def test_noise_and_all_that_follows_is_equal_on_all_devices():
    model, _ = train("all_both", 8)
    for variable in [*model.variables, *model.optimizer.variables]:
        copies = [
            np.asarray(shard.data)
            for shard in variable.value.addressable_shards
        ]
        assert len(copies) == 8
        for copy in copies[1:]:
            np.testing.assert_array_equal(copy, copies[0], variable.path)


def collectives(name, devices, batch=BATCH):
    """What the devices tell each other in one training step."""
    import jax

    with scope(devices):
        model = train_steps.compiled_model(name)
        layout = distribution(devices).get_data_layout
        data = [
            jax.device_put(part, layout(part.shape).backend_layout)
            for part in train_steps.batch(batch)
        ]
        state = train_steps.jax_state(model)
        step = jax.jit(model.train_step).lower(state, data).compile()
    return hlo.collectives(step.as_text())


def test_ghosts_that_fit_a_device_need_the_sum_of_gradients_alone():
    [(operation, with_ghosts)] = collectives("ghosts", 4)
    assert operation == "all-reduce"
    # Batch normalization over the whole batch asks for its statistics, too.
    of_plain = collectives("plain", 4)
    assert {operation for operation, _ in of_plain} == {"all-reduce"}
    assert len(of_plain) > 1
    # Besides gradients and metrics: a mean and a variance for each feature.
    features = 8 + 8 + 16
    assert with_ghosts <= sum(size for _, size in of_plain) + 8 * features


def test_both_paths_of_a_sample_stay_on_its_device():
    [(operation, _)] = collectives("all_both", 4)
    assert operation == "all-reduce"


def test_an_update_with_noise_asks_other_devices_nothing():
    import jax

    with scope(4):
        variables = [keras.Variable(np.ones(n)) for n in ((8, 4), (4,))]
        optimizer = train_steps.all_together()
        optimizer.build(variables)
    values = [v.value for v in variables]
    update = jax.jit(optimizer.stateless_apply).lower(
        [v.value for v in optimizer.variables], values, values
    )
    assert hlo.collectives(update.compile().as_text()) == []


def test_a_batch_that_the_devices_cannot_share_is_refused():
    with scope(4):
        model = train_steps.compiled_model("ghosts")
        x, y, _ = train_steps.batch(10)
        with pytest.raises(ValueError, match=r"\(10, 8, 8, 1\).*evenly"):
            model.train_on_batch(x, y)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """What two processes, of two devices each, wrote after training."""
    folder = tmp_path_factory.mktemp("cluster")
    root = pathlib.Path(__file__).parents[2]
    [port] = free_ports(1)
    outputs = [folder / f"{process}.npz" for process in range(2)]
    # Files: a process that waits for its reader would stop the other, too.
    logs = [output.with_suffix(".log") for output in outputs]
    with contextlib.ExitStack() as files:
        processes = [
            subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.checks.data_parallel",
                    str(output),
                ],
                cwd=root,
                env={
                    **os.environ,
                    "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{port}",
                    "KERAS_DISTRIBUTION_NUM_PROCESSES": str(len(outputs)),
                    "KERAS_DISTRIBUTION_PROCESS_ID": str(process),
                },
                stdout=files.enter_context(log.open("wb")),
                stderr=subprocess.STDOUT,
            )
            for process, (output, log) in enumerate(
                zip(outputs, logs, strict=True)
            )
        ]
    try:
        for process in processes:
            process.wait(timeout=180)
    except subprocess.TimeoutExpired:
        pass  # What they have written says why.
    finally:
        for process in processes:
            process.kill()
            process.wait()
    for process, log in zip(processes, logs, strict=True):
        assert process.returncode == 0, log.read_text("utf-8")
    written = []
    for output in outputs:
        with np.load(output) as arrays:
            results = json.loads(str(arrays["results"]))
            for label in ("one_each", "two_each"):
                results[label]["variables"] = [
                    (path, arrays[f"{label}_{i}"])
                    for i, path in enumerate(results[label]["paths"])
                ]
            written.append(results)
    return written


@pytest.mark.parametrize(
    ("label", "name"), [("one_each", "ghosts"), ("two_each", "all_both")]
)
def test_processes_follow_the_trajectory_of_one(cluster, label, name):
    model, logs = train(name, 0)
    for results in cluster:
        assert results["devices"] == 4
        check_equal(
            (results[label]["variables"], results[label]["logs"]),
            (floats(model), logs),
        )


def test_processes_evaluate_all_of_the_data(cluster):
    model, _ = train("all_both", 0)
    x, y = digits()
    expected = model.evaluate(
        x[:BATCH], y[:BATCH], batch_size=BATCH, verbose=0, return_dict=True
    )
    for results in cluster:
        assert results["evaluate"] == pytest.approx(expected, rel=1e-4)


def test_keras_cannot_predict_in_several_processes_yet(cluster):
    """Keras 3.15 asks for predictions that other processes hold.

    When this fails, docs/jax.md can stop warning of it.
    """
    for results in cluster:
        assert "non-addressable" in results["predict"]
