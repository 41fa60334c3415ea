"""What `fit` reads: batches as a function of seed and epoch."""

import hashlib
import itertools

import keras
import numpy as np

from keras_lbreg.data.batches import Batches
from keras_lbreg.data.samples import (
    count_samples,
    describe,
    is_tf_dataset,
    take_rows,
)
from keras_lbreg.data.tensorflow_stream import tensorflow_stream
from keras_lbreg.techniques import hooks

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
        stream = Batches(
            numbers,
            numbers,
            run.plan.batch_size,
            run.seed,
            initial_epoch,
            run.plan.steps_per_epoch,
        )
        first = initial_epoch * run.plan.steps_per_epoch
        context = run.context(initial_step=first)
        for hook, settings in hooks(run.plan.techniques, "data"):
            stream = hook(stream, settings, context)
        for step, (rows, _, *weights) in zip(
            itertools.count(first), stream, strict=False
        ):
            batch = take_rows(self.data, np.asarray(rows))
            batch = self._augmented(batch, [run.seed, step, AUGMENTATION])
            yield times(batch, *weights)

    def for_fit(self, run, initial_epoch=0, limit=None):
        """What `fit` reads: the run's batches, or the first `limit`."""
        placement = run.placement
        size = run.plan.batch_size // placement.replicas
        parts = [
            slice(index * size, (index + 1) * size)
            for index in placement.local_replicas
        ]

        def parts_of_batches():
            batches = self.batches(run, initial_epoch)
            for batch in itertools.islice(batches, limit):
                for part in parts:
                    yield take_rows(batch, part)

        if keras.backend.backend() != "tensorflow":
            return parts_of_batches()
        return to_tensorflow(parts_of_batches, placement, limit)

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
        self.samples = int(dataset.cardinality())
        if self.batched:
            # The last batch may be smaller: an epoch is a number of updates.
            self.samples *= batch_size_of(dataset)

    def first(self, count):
        return next(iter(unbatched(self).batch(count).as_numpy_iterator()))

    def digest(self):
        spec = f"{self.dataset.element_spec} {self.samples}"
        return hashlib.sha256(spec.encode()).hexdigest()[:16]

    def batches(self, run, initial_epoch=0):
        """Endless global batches of a run, as NumPy arrays."""
        if self.make is None:
            yield from self._native(run, initial_epoch).as_numpy_iterator()
            return
        first = initial_epoch * run.plan.steps_per_epoch
        weights = weights_alone(run, first)
        for epoch in itertools.count(initial_epoch):
            left = run.plan.steps_per_epoch
            for pass_ in itertools.count():
                dataset = self._make(run.seed, epoch, pass_)
                batches = dataset.batch(
                    run.plan.batch_size, drop_remainder=True
                ).take(left)
                before = left
                for batch in batches.as_numpy_iterator():
                    left -= 1
                    yield times(batch, *next(weights))
                if left == 0:
                    break
                if before == left:
                    raise ValueError(
                        "A dataset made by `train_data` holds fewer samples "
                        f"than a batch, {run.plan.batch_size}."
                    )

    def for_fit(self, run, initial_epoch=0, limit=None):
        placement = run.placement
        if placement.workers > 1:
            raise ValueError(
                "A `tf.data.Dataset` cannot be divided among several workers "
                "so that all make the same run. Expected arrays as "
                "`train_data`, or one worker."
            )
        if self.make is None:
            dataset = self._native(run, initial_epoch)
            return dataset if limit is None else dataset.take(limit)

        def generate():
            return itertools.islice(self.batches(run, initial_epoch), limit)

        if keras.backend.backend() != "tensorflow":
            return generate()
        return stream_of(generate)

    def _native(self, run, initial_epoch):
        import tensorflow as tf

        first = initial_epoch * run.plan.steps_per_epoch
        stream = unbatched(self).repeat()
        stream = stream.batch(run.plan.batch_size, drop_remainder=True)
        context = run.context(initial_step=first)
        stream = stream.skip(first)
        for hook, settings in hooks(run.plan.techniques, "data"):
            stream = hook(stream, settings, context)
        return stream.prefetch(tf.data.AUTOTUNE)

    def _make(self, seed, epoch, pass_):
        import tensorflow as tf

        key = np.random.SeedSequence([seed, epoch, pass_]).generate_state(1)[0]
        tf.random.set_seed(int(key))
        dataset = self.make()
        return dataset.unbatch() if self.batched else dataset


class ValidationData:
    """What every run is judged by."""

    def __init__(self, data, rank):
        self.dataset = self.data = None
        self._made = None
        if not is_tf_dataset(data):
            self.data = data
            self.samples = count_samples(data)
            return
        batched = is_batched(data, rank)
        size = batch_size_of(data) if batched else 1
        self.samples = int(data.cardinality()) * size
        if bytes_of_element(data) * self.samples <= MEMORY:
            rows = data.unbatch() if batched else data
            batches = list(rows.batch(LARGEST_BATCH).as_numpy_iterator())
            self.data = keras.tree.map_structure(
                lambda *parts: np.concatenate(parts), *batches
            )
            self.samples = count_samples(self.data)
        else:
            self.dataset = data if batched else data.batch(LARGEST_BATCH)

    def first(self, count):
        if self.data is not None:
            return take_rows(self.data, slice(count))
        batch = next(iter(self.dataset.take(1).as_numpy_iterator()))
        return take_rows(batch, slice(count))

    def digest(self):
        if self.data is not None:
            return digest_of(self.data)
        return describe(self.dataset)

    def values(self, placement):
        """What `evaluate` takes; on TensorFlow made once for all its calls."""
        if self.data is None:
            return self.dataset
        is_tensorflow = keras.backend.backend() == "tensorflow"
        if placement.handle is not None or not is_tensorflow:
            return self.data
        if self._made is None:
            import tensorflow as tf

            rows = tf.data.Dataset.from_tensor_slices(self.data)
            self._made = rows.batch(LARGEST_BATCH)
        return self._made

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

    def for_fit(self, placement, largest=None):
        """The arguments of `fit`, for all samples or the first few."""
        values = self.values(placement)
        if is_tf_dataset(values):
            few = values if largest is None else values.take(1)
            return {"validation_data": few}
        data, samples = self.data, self.samples
        if largest is not None and largest < samples:
            data, samples = take_rows(data, slice(largest)), largest
        if placement.handle is None or keras.backend.backend() != "tensorflow":
            return {
                "validation_data": data,
                "validation_batch_size": batch_size(samples, placement.devices),
            }

        def parts():
            for step in replica_slices(samples, placement.replicas):
                for index in placement.local_replicas:
                    yield take_rows(data, step[index])

        return {
            "validation_data": to_tensorflow(parts, placement, 0, fixed=False)
        }

    def evaluate(self, model):
        """The results of a plain model on one device, by name."""
        if self.data is None:
            arguments = {"x": self.dataset}
        else:
            x, y, weight = keras.utils.unpack_x_y_sample_weight(self.data)
            arguments = {"x": x, "y": y, "sample_weight": weight}
            arguments["batch_size"] = min(LARGEST_BATCH, self.samples)
        results = model.evaluate(**arguments, verbose=0, return_dict=True)
        return {f"val_{name}": float(value) for name, value in results.items()}


class Estimated:
    """Inputs of the run's first batches, for normalization statistics."""

    def __init__(self, data, run):
        size = run.plan.batch_size
        samples = min(data.samples, ESTIMATED_ON)
        count = max(1, min(samples // size, run.plan.steps_per_epoch))
        batches = itertools.islice(data.batches(run), count)
        self.inputs = [(batch[0],) for batch in batches]

    def __len__(self):
        return len(self.inputs)

    def __iter__(self):
        return iter(self.inputs)


def weights_alone(run, initial_step):
    """What the techniques of a run weigh the samples with, step by step."""
    numbers = np.arange(run.plan.batch_size)
    stream = itertools.repeat((numbers, numbers))
    context = run.context(initial_step=initial_step)
    for hook, settings in hooks(run.plan.techniques, "data"):
        stream = hook(stream, settings, context)
    for _, _, *weights in stream:
        yield weights


def times(batch, weights=None):
    """A batch `(x, y[, sample_weight])` whose weights are multiplied."""
    if weights is None:
        return batch
    x, y, *given = batch
    if given and not isinstance(given[0], np.ndarray):
        # One for each output.
        return (
            x,
            y,
            keras.tree.map_structure(lambda w: times_one(w, weights), given[0]),
        )
    for own in given:
        weights = times_one(own, weights)
    if not given and isinstance(y, (dict, tuple)):
        weights = keras.tree.map_structure(lambda _: weights, y)
    return x, y, weights


def times_one(own, weights):
    trailing = (None,) * (own.ndim - 1)
    return own * weights[(..., *trailing)]


def to_tensorflow(generate, placement, limit=None, fixed=True):
    """A generator's batches as a `tf.data.Dataset` for `fit`."""
    import tensorflow as tf

    def make():
        data = stream_of(generate, fixed)
        if placement.workers > 1 and limit is None:
            # Workers ask one another before every step whether somebody has
            # come to the end, unless they know that there is none.
            data = data.apply(
                tf.data.experimental.assert_cardinality(
                    tf.data.INFINITE_CARDINALITY
                )
            )
        return data

    return placement.distribute(make)


def stream_of(generate, fixed=True):
    """The same as a dataset of one process; `fixed` batches have one size."""
    import tensorflow as tf

    def spec(array):
        array = np.asarray(array)
        shape = array.shape if fixed else (None, *array.shape[1:])
        dtype = "string" if array.dtype.kind in "SU" else array.dtype
        return tf.TensorSpec(shape, dtype)

    # Static shapes: ghost batches are then cut at tracing time.
    signature = tf.nest.map_structure(spec, next(generate()))
    return tensorflow_stream(generate, signature)


def is_batched(dataset, rank):
    """Whether the elements of a `tf.data.Dataset` are batches."""
    return len(keras.tree.flatten(dataset.element_spec)[0].shape) == rank


def batch_size_of(dataset):
    spec = keras.tree.flatten(dataset.element_spec)[0]
    if spec.shape[0] is not None:
        return int(spec.shape[0])
    first = keras.tree.flatten(next(iter(dataset)))[0]
    return int(first.shape[0])


def unbatched(data):
    return data.dataset.unbatch() if data.batched else data.dataset


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
