"""Which samples the workers of a cluster train with.

Each function takes the strategy and returns what can be compared. Samples are
their own numbers.
"""

import pathlib
import random
import tempfile
import warnings

import keras
import numpy as np

from keras_lbreg.distribute import broadcast_from_chief, is_chief
from keras_lbreg.distribute.data_sharding import (
    check_same_data,
    states_of_python,
)

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

SAMPLES = 20


def numbers(count=SAMPLES, start=0):
    return tf.data.Dataset.range(start, start + count)


def with_policy(dataset, name):
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy[name]
    )
    return dataset.with_options(options)


def unknown_length(dataset):
    return dataset.filter(lambda *sample: True)


def read(strategy, dataset, steps=None):
    """The samples of this worker's first replica, batch by batch."""
    batches = []
    for batch in strategy.experimental_distribute_dataset(dataset):
        batches.append(
            strategy.experimental_local_results(batch)[0].numpy().tolist()
        )
        if len(batches) == steps:
            break
    return batches


def worker(strategy):
    return strategy.cluster.index


def unseeded_shuffle(strategy):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read(strategy, numbers().shuffle(SAMPLES).batch(4))


def by_default(strategy):
    return read(strategy, numbers().batch(8))


def by_files(strategy):
    folder = pathlib.Path(tempfile.mkdtemp())
    paths = []
    for file in range(4):
        paths.append(str(folder / f"{file}.tfrecord"))
        with tf.io.TFRecordWriter(paths[-1]) as writer:
            for i in range(4):
                writer.write(str(10 * file + i).encode())
    dataset = tf.data.TFRecordDataset(paths)
    dataset = dataset.map(lambda line: tf.strings.to_number(line, tf.int64))
    return {
        policy: read(strategy, with_policy(dataset.batch(4), policy))
        for policy in ("AUTO", "FILE", "DATA")
    }


def off_and_finite(strategy):
    return read(strategy, with_policy(numbers().batch(4), "OFF"))


def off_and_finite_on_one(strategy):
    dataset = numbers().batch(4)
    if worker(strategy):
        dataset = dataset.repeat()
    return read(strategy, with_policy(dataset, "OFF"))


def different_policies(strategy):
    policy = "OFF" if worker(strategy) else "DATA"
    return read(strategy, with_policy(numbers().batch(4).repeat(), policy))


def off_and_endless(strategy):
    mine = numbers(4, start=100 * worker(strategy)).repeat().batch(4)
    return read(strategy, with_policy(mine, "OFF"), steps=3)


def different_lengths(strategy):
    return read(strategy, numbers(SAMPLES - 8 * worker(strategy)).batch(4))


def different_kinds(strategy):
    dataset = numbers()
    if worker(strategy):
        dataset = dataset.map(float)
    return read(strategy, dataset.batch(4))


def model_and_data(strategy, samples):
    """A model and this worker's own batches, of unknown length."""
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.01), "mse", metrics=["mae"])
    rng = np.random.default_rng(worker(strategy))
    x = rng.normal(size=(samples, 3)).astype("float32")
    dataset = tf.data.Dataset.from_tensor_slices((x, x[:, :1])).batch(4)
    return model, with_policy(unknown_length(dataset), "OFF")


def fit_unequal(strategy, samples):
    model, data = model_and_data(strategy, samples)
    logs = model.fit(data, epochs=2, validation_data=data, verbose=0).history
    return {
        "logs": logs,
        "updates": int(model.optimizer.iterations.numpy()),
        "weights": model.get_weights(),
    }


def unequal(strategy):
    return fit_unequal(strategy, 12 - 8 * worker(strategy))


def nothing_on_worker_1(strategy):
    return fit_unequal(strategy, 0 if worker(strategy) else 12)


def different_seeds(strategy):
    keras.utils.set_random_seed(worker(strategy))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        read(strategy, numbers().batch(4))
        read(strategy, with_policy(numbers().batch(4).repeat(), "OFF"), 1)
    keras.utils.set_random_seed(0)
    return [str(w.message) for w in seen]


def different_states_of_python(strategy):
    """Only TensorFlow's generator was seeded alike."""
    dataset = with_policy(numbers().batch(4), "DATA")
    seen = {}
    for name, seed in (("Python's", random.seed), ("NumPy's", np.random.seed)):
        keras.utils.set_random_seed(0)
        seed(worker(strategy))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            check_same_data(strategy, dataset, states_of_python())
        seen[name] = [str(w.message) for w in caught]
    keras.utils.set_random_seed(0)
    return seen


# Not a number, with a payload that arithmetic would not keep.
STRANGE = np.array([0x7FA00001, 0xFFC12345, 1, 0x80000000], "uint32")
LARGE = 2**22 + 5  # more than two of the pieces that are sent


def broadcast(strategy):
    """What all workers have of the chief's; the others offer something else."""
    mine = [np.arange(3), "other", 2]
    if worker(strategy) == 0:
        mine = [
            STRANGE.view("float32"),
            "the chief's: é",
            2**62 + 1,
            np.zeros((0, 3), "float16"),
            np.array([[True], [False]]),
            (np.arange(LARGE) % 251).astype("uint8"),
        ]
    elif worker(strategy) == 2:
        mine = None
    return broadcast_from_chief(strategy, mine)


def chief(strategy):
    return [is_chief(strategy), strategy.is_chief, is_chief()]
