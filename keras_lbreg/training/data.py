"""What `fit` reads: batches as a function of seed and epoch."""

import collections
import hashlib
import itertools

import keras
import numpy as np

from keras_lbreg.data.batches import Batches
from keras_lbreg.data.sample_weights import weigh
from keras_lbreg.data.samples import count_samples, is_tf_dataset, take_rows
from keras_lbreg.techniques import hooks
from keras_lbreg.training.placement import ONE_DEVICE

# Beside the run's seed and the update's number: augmentation has random numbers
# of its own.
AUGMENTATION = 1

# Samples to evaluate at once.
LARGEST_BATCH = 1000

# Validation sets that take more are read from their dataset every time.
MEMORY = 2**31

# Samples by which normalization statistics are estimated; Wu & Johnson find
# 1,000 to 10,000 enough.
ESTIMATED_ON = 4096

# Batches that are ready before TensorFlow asks for them: one is in the making
# while another waits.
AHEAD = 2


class ArrayData:
    """Structures of arrays, in the order of (seed, epoch)."""

    def __init__(self, data, augmentation=None):
        self.data = data
        self.samples = count_samples(data)
        self.augmentation = augmentation

    def first(self, count):
        """The first samples, as training sees them."""
        return self._augmented(take_rows(self.data, slice(count)), [0])

    def digest(self):
        """What tells these data from others, in a few letters."""
        return digest_of(self.data)

    def batches(self, run, initial_epoch=0):
        """Endless global batches of a run, as NumPy arrays."""
        numbers = np.arange(self.samples)
        size, steps = run.plan.batch_size, run.plan.steps_per_epoch
        stream = Batches(numbers, numbers, size, run.seed, initial_epoch, steps)
        stream = changed(stream, run, initial_epoch)
        for step, (rows, _, *weights) in stream:
            batch = take_rows(self.data, np.asarray(rows))
            batch = self._augmented(batch, [run.seed, step, AUGMENTATION])
            yield times(batch, *weights)

    def _augmented(self, batch, key):
        if self.augmentation is None:
            return batch
        x, *others = batch
        x = self.augmentation(x, np.random.default_rng(key))
        return (x, *others)


class DatasetData:
    """A `tf.data.Dataset`, dealt into batches of any size.

    Where a function makes it, it is made anew for every epoch, after
    TensorFlow's seed was set from the run's seed and the epoch; the samples
    left over at the end of an epoch are dropped. Otherwise its samples are
    dealt into full batches across the ends of its epochs.
    """

    def __init__(self, dataset, rank, make=None):
        self.dataset = dataset
        self.make = make
        self.batched = is_batched(dataset, rank)
        # Of batches, the last may be smaller: an epoch is a number of updates.
        self.samples = samples_of(dataset, self.batched)

    def first(self, count):
        batches = self._unbatched(self.dataset).batch(count)
        return next(batches.as_numpy_iterator())

    def digest(self):
        return digest_of_dataset(self.dataset, self.samples)

    def batches(self, run, initial_epoch=0):
        """Endless global batches of a run, as NumPy arrays."""
        numbers = np.arange(run.plan.batch_size)
        stream = itertools.repeat((numbers, numbers))
        weights = changed(stream, run, initial_epoch)
        deal = self._dealt if self.make is None else self._made
        batches = deal(run, initial_epoch)
        for batch, (_, (_, _, *own)) in zip(batches, weights, strict=False):
            yield times(batch, *own)

    def _dealt(self, run, initial_epoch):
        size, steps = run.plan.batch_size, run.plan.steps_per_epoch
        dataset = self._unbatched(self.dataset).repeat()
        dataset = dataset.batch(size, drop_remainder=True)
        yield from dataset.skip(initial_epoch * steps).as_numpy_iterator()

    def _made(self, run, initial_epoch):
        for epoch in itertools.count(initial_epoch):
            passes = self._passes(run, epoch)
            yield from itertools.islice(passes, run.plan.steps_per_epoch)

    def _passes(self, run, epoch):
        """The full batches of an epoch, and of further passes if need be."""
        import tensorflow as tf

        size = run.plan.batch_size
        for number in itertools.count():
            key = np.random.SeedSequence([run.seed, epoch, number])
            tf.random.set_seed(int(key.generate_state(1)[0]))
            dataset = self._unbatched(self.make())
            batches = dataset.batch(size, drop_remainder=True)
            batches = batches.as_numpy_iterator()
            first = next(batches, None)
            if first is None:
                raise ValueError(
                    "A dataset made by `train_data` holds fewer samples than "
                    f"a batch, {size}."
                )
            yield first
            yield from batches

    def _unbatched(self, dataset):
        return dataset.unbatch() if self.batched else dataset


class ValidationData:
    """What every run is judged by: arrays, or a dataset too large for that."""

    def __init__(self, data, rank):
        self.data, self.dataset = data, None
        self._made = {}
        if is_tf_dataset(data):
            batched = is_batched(data, rank)
            rows = data.unbatch() if batched else data
            self.samples = samples_of(data, batched)
            self.dataset = data if batched else rows.batch(LARGEST_BATCH)
            fits = bytes_of_element(rows) * self.samples <= MEMORY
            self.data = read_arrays(rows) if fits else None
        if self.data is not None:
            self.samples = count_samples(self.data)

    def first(self, count):
        data = self.data
        if data is None:
            data = next(iter(self.dataset.take(1).as_numpy_iterator()))
        return take_rows(data, slice(count))

    def digest(self):
        if self.data is None:
            return digest_of_dataset(self.dataset, self.samples)
        return digest_of(self.data)

    def check(self, placement):
        """Raises where some replica would have no samples to evaluate."""
        replicas = placement.replicas
        if self.data is None and replicas > 1:
            raise ValueError(
                "A `tf.data.Dataset` of more than 2 GiB cannot be validated "
                "on by several replicas. Expected fewer, or arrays as "
                "`validation_data`."
            )
        if self.samples < 2 * replicas:
            raise ValueError(
                "Invalid value for argument `validation_data`. Expected at "
                f"least two samples for each of {replicas} replicas. "
                f"Received: {self.samples} samples"
            )

    def values(self, placement):
        """What `evaluate` takes; on TensorFlow made once for all its calls."""
        if self.data is None:
            return self.dataset
        if keras.backend.backend() != "tensorflow":
            return self.data
        if placement.handle not in self._made:
            self._made[placement.handle] = self._dataset_for(placement)
        return self._made[placement.handle]

    def _dataset_for(self, placement):
        if placement.handle is None:
            import tensorflow as tf

            rows = tf.data.Dataset.from_tensor_slices(self.data)
            return rows.batch(LARGEST_BATCH)

        def parts():
            for step in replica_slices(self.samples, placement.replicas):
                for index in placement.local_replicas:
                    yield take_rows(self.data, step[index])

        return to_tensorflow(parts, placement, fixed=False)

    def for_fit(self, placement):
        """The arguments of `fit`."""
        values, size = self.values(placement), None
        if isinstance(values, tuple):
            size = batch_size(self.samples, placement.devices)
        return {"validation_data": values, "validation_batch_size": size}

    def evaluate(self, model, placement=ONE_DEVICE):
        """The results of a model by name, such as `"val_loss"`."""
        data = self.for_fit(placement)
        x, y, weight = keras.utils.unpack_x_y_sample_weight(
            data["validation_data"]
        )
        results = model.evaluate(
            x,
            y,
            sample_weight=weight,
            batch_size=data["validation_batch_size"],
            verbose=0,
            return_dict=True,
        )
        return {f"val_{name}": float(value) for name, value in results.items()}


def for_fit(run, initial_epoch=0, limit=None):
    """What `fit` reads: the run's batches, or the first `limit`."""
    placement = run.placement
    size = run.plan.batch_size // placement.replicas

    def parts():
        batches = run.facts.train.batches(run, initial_epoch)
        for batch in itertools.islice(batches, limit):
            for index in placement.local_replicas:
                yield take_rows(batch, slice(index * size, (index + 1) * size))

    if keras.backend.backend() != "tensorflow":
        return parts()
    return to_tensorflow(parts, placement)


def inputs_to_estimate(run):
    """Inputs of the run's first batches, for normalization statistics."""
    data, size = run.facts.train, run.plan.batch_size
    count = min(data.samples, ESTIMATED_ON) // size
    count = max(1, min(count, run.plan.steps_per_epoch))
    batches = itertools.islice(data.batches(run), count)
    # Not a list, which would be one of several inputs.
    return collections.deque((x,) for x, *_ in batches)


def changed(stream, run, initial_epoch):
    """Updates' numbers and batches, as the techniques of a run change them."""
    first = initial_epoch * run.plan.steps_per_epoch
    context = run.context(initial_step=first)
    for hook, settings in hooks(run.plan.techniques, "data"):
        stream = hook(stream, settings, context)
    return zip(itertools.count(first), stream, strict=False)


def times(batch, weights=None):
    """A batch `(x, y[, sample_weight])` whose weights are multiplied."""
    if weights is None:
        return batch
    x, y, *given = batch
    # One for each output.
    ones = keras.tree.map_structure(lambda _: np.float32(1), y)
    return weigh((x, y, *(given or [ones])), lambda y: weights)


def to_tensorflow(generate, placement, fixed=True):
    """A generator's batches as what `fit` and `evaluate` read.

    Those to train on are endless and have one size; others are not `fixed`.
    """
    import tensorflow as tf

    def spec(array):
        array = np.asarray(array)
        shape = array.shape if fixed else (None, *array.shape[1:])
        return tf.TensorSpec(shape, array.dtype)

    # Static shapes: ghost batches are then cut at tracing time.
    signature = tf.nest.map_structure(spec, next(generate()))
    options = tf.data.Options()
    # There is nothing to tune, and the end of every `fit` would wait for the
    # thread that tunes, for up to a second.
    options.autotune.enabled = False

    def make(context=None):
        data = tf.data.Dataset.from_generator(
            generate, output_signature=signature
        )
        data = data.prefetch(AHEAD).with_options(options)
        if placement.workers > 1 and fixed:
            # Workers ask one another before every step whether somebody has
            # come to the end, unless they know that there is none.
            infinite = tf.data.INFINITE_CARDINALITY
            data = data.apply(tf.data.experimental.assert_cardinality(infinite))
        return data

    if placement.handle is None:
        return make()
    # To each replica batches of its own.
    return placement.handle.distribute_datasets_from_function(make)


def is_batched(dataset, rank):
    """Whether the elements of a `tf.data.Dataset` are batches."""
    return len(keras.tree.flatten(dataset.element_spec)[0].shape) == rank


def samples_of(dataset, batched):
    """The samples of a `tf.data.Dataset`, all batches taken for full."""
    count = int(dataset.cardinality())
    if not batched:
        return count
    size = keras.tree.flatten(dataset.element_spec)[0].shape[0]
    if size is None:
        size = len(keras.tree.flatten(next(iter(dataset)))[0])
    return count * int(size)


def read_arrays(dataset):
    """All samples of a `tf.data.Dataset` as structures of arrays."""
    batches = dataset.batch(LARGEST_BATCH).as_numpy_iterator()
    return keras.tree.map_structure(lambda *a: np.concatenate(a), *batches)


def bytes_of_element(dataset):
    return sum(
        int(np.prod([size or 1 for size in spec.shape])) * spec.dtype.size
        for spec in keras.tree.flatten(dataset.element_spec)
    )


def digest_of(data):
    """A digest of up to some 10,000 samples of structures of arrays."""
    state = hashlib.sha256()
    step = max(1, count_samples(data) // 10_000)
    for array in keras.tree.flatten(data):
        state.update(f"{array.shape}{array.dtype}".encode())
        state.update(np.ascontiguousarray(array[::step]).tobytes())
    return state.hexdigest()[:16]


def digest_of_dataset(dataset, samples):
    spec = f"{dataset.element_spec} {samples}"
    return hashlib.sha256(spec.encode()).hexdigest()[:16]


def batch_size(samples, devices):
    """The size of the batches that `devices` devices evaluate together.

    Keras on JAX lays out all batches like the first one: either the devices
    divide every batch, or none, and then each evaluates all.
    """
    if samples % devices == 0:
        return LARGEST_BATCH - LARGEST_BATCH % devices
    return LARGEST_BATCH if LARGEST_BATCH % devices else LARGEST_BATCH - 1


def replica_slices(samples, replicas):
    """Slices of all replicas for each step: none is ever without a sample.

    The mean of no samples is NaN. All have equally many but in the last step,
    since Keras looks at the first one to build the model.
    """
    each, left = divmod(samples, replicas)
    largest = max(1, LARGEST_BATCH // replicas)
    # Those left over go to the first replicas, in a step of their own.
    equal = each - 1 if left else each
    sizes = []
    for done in range(0, equal, largest):
        sizes += [min(largest, equal - done)] * replicas
    if left:
        sizes += [2] * left + [1] * (replicas - left)
    bounds = itertools.accumulate(sizes, initial=0)
    slices = [slice(*pair) for pair in itertools.pairwise(bounds)]
    return [
        slices[first : first + replicas]
        for first in range(0, len(slices), replicas)
    ]
