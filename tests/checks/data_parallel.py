"""Training on digits, on any number of JAX devices and processes.

    python -m tests.checks.data_parallel OUT.npz

is one process of a cluster that the environment describes, as it does for
`keras.distribution.initialize()`. It trains, and writes what came out.
"""

import contextlib
import functools
import json
import sys

import keras
import numpy as np

import keras_lbreg
from keras_lbreg.data import load_dataset
from tests.checks import train_steps

BATCH = 64
STEPS_PER_EPOCH = 12
EPOCHS = 2


def distribution(devices):
    return keras.distribution.DataParallel(
        devices=[f"cpu:{i}" for i in range(devices)]
    )


def scope(devices):
    return (
        distribution(devices).scope() if devices else contextlib.nullcontext()
    )


@functools.cache
def digits():
    data = load_dataset("digits")
    x = data.x_train.astype("float32") / 16
    return x, data.y_train.astype("int32")


def mixed_digits():
    """The 24 batches, of 8 groups each, as every process draws them."""
    x, y = digits()
    order = np.random.default_rng(0).permutation(len(x))
    batches = [
        (x[order[start : start + BATCH]], y[order[start : start + BATCH]])
        for start in range(0, STEPS_PER_EPOCH * BATCH, BATCH)
    ]
    return keras_lbreg.mix_sample_weights(
        (b for _ in range(EPOCHS) for b in batches), groups=8, seed=3
    )


def own_rows(batch, process, processes):
    """A process's part of a batch; the parts follow each other in order."""
    size = len(batch[0]) // processes
    return tuple(part[process * size : (process + 1) * size] for part in batch)


def fit(name, process=0, processes=1):
    """A model after 24 updates, and its logs."""
    model = train_steps.compiled_model(name)
    history = model.fit(
        (own_rows(b, process, processes) for b in mixed_digits()),
        steps_per_epoch=STEPS_PER_EPOCH,
        epochs=EPOCHS,
        verbose=0,
    )
    return model, history.history


def floats(model):
    """Paths and values of the variables of model and optimizer."""
    return [
        (variable.path, np.asarray(variable))
        for variable in [*model.variables, *model.optimizer.variables]
        if variable.dtype == "float32"
    ]


def check_equal(trained, expected):
    """Fails unless variables and logs of two calls of `fit` agree."""
    (values, logs), (expected_values, expected_logs) = trained, expected
    for (path, value), (_, other) in zip(values, expected_values, strict=True):
        np.testing.assert_allclose(value, other, atol=1e-5, err_msg=path)
    assert logs.keys() == expected_logs.keys()
    for key, of_epochs in expected_logs.items():
        np.testing.assert_allclose(logs[key], of_epochs, rtol=1e-4, err_msg=key)


def main(out):
    import jax

    jax.config.update("jax_num_cpu_devices", 2)
    jax.config.update("jax_disable_most_optimizations", True)
    keras.distribution.initialize()
    process, processes = jax.process_index(), jax.process_count()
    every = keras.distribution.list_devices()
    results = {"devices": len(every)}
    arrays = {}
    for label, name, devices in (
        ("one_each", "ghosts", every[:: len(every) // processes]),
        ("two_each", "all_both", every),
    ):
        keras.distribution.set_distribution(
            keras.distribution.DataParallel(
                devices=devices, auto_shard_dataset=False
            )
        )
        model, logs = fit(name, process, processes)
        results[label] = {"logs": logs, "paths": []}
        for i, (path, value) in enumerate(floats(model)):
            results[label]["paths"].append(path)
            arrays[f"{label}_{i}"] = value
    x, y = digits()
    x, y, _ = own_rows((x[:BATCH], y[:BATCH], y), process, processes)
    results["evaluate"] = model.evaluate(
        x, y, batch_size=len(x), verbose=0, return_dict=True
    )
    try:
        model.predict(x, batch_size=len(x), verbose=0)
    except RuntimeError as error:
        results["predict"] = str(error)
    np.savez(out, results=json.dumps(results), **arrays)


if __name__ == "__main__":
    # A process of a cluster is a test session, too, as far as imports go.
    from tests.conftest import start_backend

    start_backend()
    main(sys.argv[1])
