"""Precise batch normalization: population statistics for fixed weights."""

import collections.abc
import contextlib
import inspect
import itertools

import keras
import numpy as np
from keras import ops

from keras_lbreg.checks import check_positive_int, invalid
from keras_lbreg.layers.path_normalization import PathNormalization
from keras_lbreg.models._keras_graph import sublayers

tf = None
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf


def reestimate_batch_norm(model, data, batch_size=256, steps=None, seed=0):
    """Replaces moving statistics by those of the data at the present weights.

    The moving averages of batch normalization lag behind the weights: after
    few updates, as with a large batch, they hold a good part of their initial
    values, and a network that has learned well predicts badly. Here the
    weights stay fixed, the network runs over `data` in training mode, and
    every batch normalization gets the mean and the variance of all that
    entered it,

    ```
    moving_mean     = (1/n) sum_b n_b mu_b                    = E[x]
    moving_variance = (1/n) sum_b n_b (var_b + mu_b^2) - E[x]^2 = Var[x]
    ```

    with `mu_b`, `var_b` the mean and biased variance of the `n_b` elements of
    a feature in batch `b`, and `n = sum_b n_b`. This is the "PreciseBN" of Wu
    & Johnson; Ioffe & Szegedy's average of the batches' variances lacks the
    variance of the `mu_b`. All layers are estimated in one pass: in it, a layer
    behind others sees what those make of the batch by the batch's own
    statistics, as in training.

    Ghost batches pool in the same way, whatever `ghost_batch_size` and
    `statistics` are. In a model with DReg, each path has statistics of its
    own. A layer used at several places pools what enters it at each. Elements
    that a mask excludes do not count. Dropout is at work, as in training.

    Layers that training would leave alone stay as they are: frozen ones, and
    those called with `training=False`. Nothing else of the model changes.

    Under a `tf.distribute` strategy the statistics are computed on one device,
    and all replicas get them. Give all workers the same data.

    Args:
        model: A built `keras.Model` of any kind. It is changed in place.
        data: Training data: an array, a dictionary or list of arrays for
            several inputs, or a tuple `(x, y)` or `(x, y, sample_weight)` of
            which `x` alone is used; a `tf.data.Dataset`,
            `keras.utils.PyDataset` or other iterable of batches, each `x` or
            such a tuple.
        batch_size: Integer, the number of samples in a batch where `data` are
            arrays. Defaults to `256`. Take that of training: it decides by
            which statistics the layers in front normalize.
        steps: Optional integer, the largest number of batches. Some 1,000 to
            10,000 samples suffice (Wu & Johnson). Defaults to all of them.
        seed: Integer, the seed of the order of the samples. Defaults to `0`.

    Returns:
        `model`.

    Raises:
        ValueError: If an argument is out of its range, the model is not built,
            has moving statistics in a layer which is no
            `keras.layers.BatchNormalization`, or `data` is endless and `steps`
            is `None`.

    Example:

    >>> norm = keras.layers.BatchNormalization()
    >>> model = keras.Sequential([keras.Input((1,)), norm])
    >>> x = np.array([[1.0], [3.0], [5.0], [7.0]])
    >>> model = keras_lbreg.reestimate_batch_norm(model, x)
    >>> float(norm.moving_mean[0]), float(norm.moving_variance[0])
    (4.0, 5.0)

    Reference:

    - [Wu and Johnson, 2021](https://arxiv.org/abs/2105.07576), Section 3
    - [Ioffe and Szegedy, 2015](https://arxiv.org/abs/1502.03167), Algorithm 2
    """
    estimate = StatisticsEstimator(model)
    for variable, value in estimate(data, batch_size, steps, seed):
        variable.assign(value)
    return model


class ReestimateBatchNormalization(keras.callbacks.Callback):
    """Validates the model with re-estimated normalization statistics.

    When `fit` begins a validation, the moving statistics give way to those of
    `keras_lbreg.reestimate_batch_norm`, so that `val_loss` and the other
    `val_` values are those of the present weights, and not of their average
    over many updates past. At the end of the epoch the moving statistics come
    back: training goes on bit for bit as without this callback.

    In `on_epoch_end`, callbacks *before* this one in the list see the
    re-estimated statistics, callbacks *after* it the moving ones. Put
    `ModelCheckpoint` and `EarlyStopping` before it, so that they keep what was
    validated, and `BackupAndRestore` after it, so that an interrupted training
    goes on exactly.

    `evaluate` outside of `fit` is not affected.

    Args:
        data: Training data, as in `reestimate_batch_norm`. An iterable is
            iterated anew each time.
        batch_size: Integer, the number of samples in a batch where `data` are
            arrays. Defaults to `256`.
        steps: Optional integer, the largest number of batches. Defaults to
            all of them.
        seed: Integer, the seed of the order of the samples. Defaults to `0`.
        keep: Boolean, whether the model has re-estimated statistics when `fit`
            ends (one more estimation, of the last weights), or the moving
            ones. Defaults to `True`.

    Raises:
        ValueError: If an argument is out of its range; at the first validation
            as `reestimate_batch_norm`.

    Example:

    >>> precise = keras_lbreg.ReestimateBatchNormalization(x)
    >>> history = model.fit(
    ...     x, y, validation_data=(x_val, y_val), callbacks=[precise]
    ... )

    Reference:

    - [Wu and Johnson, 2021](https://arxiv.org/abs/2105.07576), Section 3
    """

    def __init__(self, data, batch_size=256, steps=None, seed=0, keep=True):
        super().__init__()
        _check_arguments(batch_size, steps)
        if isinstance(data, collections.abc.Iterator):
            raise invalid(
                "data",
                "arrays, or an iterable that can be iterated at every "
                "validation, since an iterator ends after the first",
                data,
            )
        self.data = data
        self.batch_size = batch_size
        self.steps = steps
        self.seed = seed
        self.keep = keep
        self._in_fit = False
        self._estimate = None
        self._moving = []

    def on_train_begin(self, logs=None):
        # Made anew: other layers may be frozen than in an earlier `fit`.
        self._estimate = None
        self._in_fit = True

    def on_test_begin(self, logs=None):
        if self._in_fit:
            self._reestimate()

    def on_epoch_end(self, epoch, logs=None):
        self._restore()

    def on_train_end(self, logs=None):
        self._in_fit = False
        self._restore()
        if self.keep:
            self._reestimate()
            self._moving = []
        self._estimate = None  # It holds compiled functions.

    def _reestimate(self):
        if self._estimate is None:
            self._estimate = StatisticsEstimator(self.model)
        estimated = self._estimate(
            self.data, self.batch_size, self.steps, self.seed
        )
        self._moving = [
            (local, np.array(ops.convert_to_numpy(local)))
            for variable, _ in estimated
            for local in _on_each_replica(variable)
        ]
        for variable, value in estimated:
            variable.assign(value)

    def _restore(self):
        for variable, value in self._moving:
            variable.assign(value)
        self._moving = []


class StatisticsEstimator:
    """Population statistics, compiled once: data to pairs (variable, value)."""

    def __init__(self, model):
        if not model.built:
            raise invalid(
                "model",
                "a built model: give it an `Input`, or call it on a batch "
                "before",
                model,
            )
        self.model = model
        inside = {id(layer): layer for layer in sublayers(model)}.values()
        self.layers = [
            layer
            for layer in inside
            if isinstance(layer, keras.layers.BatchNormalization)
        ]
        self.path_wrappers = {
            id(layer.layer): layer
            for layer in inside
            if isinstance(layer, PathNormalization)
        }
        # A model of the user's own may not take `training`.
        takes = inspect.signature(model.call).parameters
        self._mode = {"training": True} if "training" in takes else {}
        self._records = {}
        self._run = self._compile()

    def __call__(self, data, batch_size=256, steps=None, seed=0):
        _check_arguments(batch_size, steps)
        model = self.model
        if not model.non_trainable_variables:
            return []
        trained = [ops.convert_to_tensor(v) for v in model.trainable_variables]
        before = state = [
            ops.convert_to_tensor(v) for v in model.non_trainable_variables
        ]
        pooled = {}
        with self._recording():
            for x in _batches(data, batch_size, steps, seed):
                # The state is handed on: each batch draws dropout of its own.
                state, moments = self._run(trained, state, x)
                if not pooled:
                    self._check_nothing_else_moves(before, state)
                for (index, side, _), found in moments.items():
                    pooled[index, side] = _pool(
                        pooled.get((index, side)), map(_to_float64, found)
                    )
        return [
            (variable, value)
            for (index, side), (count, mean, variance) in pooled.items()
            if np.all(count > 0)
            for variable, value in self._values(index, side, mean, variance)
        ]

    def _compile(self):
        def run(trained, state, x):
            self._records = {}
            _, state = self.model.stateless_call(
                trained, state, x, **self._mode
            )
            return state, self._records

        if getattr(self.model, "run_eagerly", False):
            return run
        if tf is not None:
            return tf.function(run, autograph=False, reduce_retracing=True)
        if keras.backend.backend() == "jax":
            import jax

            return jax.jit(run)
        return run

    @contextlib.contextmanager
    def _recording(self):
        """While it is open, training-mode calls record their inputs."""
        # In the instances' dictionaries: nothing is to be tracked.
        before = [vars(layer).get("call") for layer in self.layers]
        for index, layer in enumerate(self.layers):
            vars(layer)["call"] = self._recorded(index, layer)
        try:
            yield
        finally:
            for layer, call in zip(self.layers, before, strict=True):
                del vars(layer)["call"]
                if call is not None:
                    vars(layer)["call"] = call
            self._records = {}

    def _recorded(self, index, layer):
        call = layer.call
        signature = inspect.signature(call)

        def recorded(*args, **kwargs):
            bound = signature.bind(*args, **kwargs).arguments
            if bound.get("training") and layer.trainable:
                number = sum(key[0] == index for key in self._records)
                # `PathNormalization` calls its layer for the right path first.
                side = number % 2 if id(layer) in self.path_wrappers else 0
                self._records[index, side, number] = _moments(
                    bound["inputs"], layer.axis, bound.get("mask")
                )
            return call(*args, **kwargs)

        return recorded

    def _values(self, index, side, mean, variance):
        """The statistics of a layer with their new values."""
        layer = self.layers[index]
        values = {
            "moving_mean": mean,
            "moving_variance": variance,
            # With `renorm=True`, of which Keras derives the variance.
            "moving_stddev": np.sqrt(variance + layer.epsilon),
        }
        statistics = [getattr(layer, name, None) for name in values]
        if side:
            wrapper = self.path_wrappers[id(layer)]
            rights = map(id, wrapper.right_statistics)
            left = dict(zip(rights, wrapper.left_statistics, strict=True))
            statistics = [left.get(id(variable)) for variable in statistics]
        return [
            (variable, value)
            for variable, value in zip(statistics, values.values(), strict=True)
            if variable is not None
        ]

    def _check_nothing_else_moves(self, before, after):
        wrappers = self.path_wrappers.values()
        known = {id(v) for layer in self.layers for v in layer.variables}
        known |= {
            id(v) for wrapper in wrappers for v in wrapper.left_statistics
        }
        unknown = [
            variable.path
            for variable, old, new in zip(
                self.model.non_trainable_variables, before, after, strict=True
            )
            if variable.name in ("moving_mean", "moving_variance")
            and id(variable) not in known
            and np.any(_to_float64(old) != _to_float64(new))
        ]
        if unknown:
            raise ValueError(
                "Invalid value for argument `model`. Expected all moving "
                "statistics to be those of `keras.layers.BatchNormalization` "
                "or a subclass of it; of other layers it is not known what "
                f"they average. Received: variables {unknown}"
            )


def _moments(x, axis, mask):
    """Number, mean and biased variance of the elements of each feature."""
    x = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
    axis = axis % len(x.shape)
    axes = [a for a in range(len(x.shape)) if a != axis]
    if mask is None:
        count = ops.cast(ops.size(x) / ops.shape(x)[axis], x.dtype)
        weight = ops.ones((), x.dtype)
    else:
        weight = ops.cast(ops.expand_dims(mask, -1), x.dtype)
        weight = ops.broadcast_to(weight, ops.shape(x))
        # What is masked may be infinite or no number at all.
        x = ops.where(weight > 0, x, 0)
        count = ops.sum(weight, axes)
    total = ops.maximum(count, 1)
    mean = ops.sum(x, axes) / total
    shape = [1] * len(x.shape)
    shape[axis] = -1
    centered = weight * (x - ops.reshape(mean, shape))
    return count, mean, ops.sum(ops.square(centered), axes) / total


def _pool(first, second):
    """Count, mean and variance of the elements of two sets together."""
    if first is None:
        return tuple(second)
    (n, mean, variance), (m, other, spread) = first, second
    total = np.maximum(n + m, 1)
    shift = other - mean
    return (
        n + m,
        mean + shift * m / total,
        (n * variance + m * spread + n * m / total * shift**2) / total,
    )


def _batches(data, batch_size, steps, seed):
    """The inputs of the model, batch by batch, as tensors."""
    if isinstance(data, keras.utils.PyDataset):
        size = data.num_batches
        ends = size is not None
        batches = (
            data[i] for i in (range(size) if ends else itertools.count())
        )
    elif hasattr(data, "element_spec"):  # A `tf.data.Dataset`.
        ends, batches = int(data.cardinality()) != -1, data
    elif hasattr(data, "shape") or isinstance(data, (dict, list, tuple)):
        x = data[0] if isinstance(data, tuple) else data
        ends = True
        batches = ((x,) for x in _batches_of_arrays(x, batch_size, seed))
    else:
        ends, batches = hasattr(data, "__len__"), data
    if not ends and steps is None:
        raise ValueError(
            "Invalid value for argument `steps`. Expected the number of "
            "batches to take, since the length of `data` is not known. "
            f"Received: steps=None, data={data!r}"
        )
    empty = True
    for batch in itertools.islice(batches, steps):
        empty = False
        # `x` of `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`.
        x = batch[0] if isinstance(batch, tuple) else batch
        yield keras.tree.map_structure(_to_tensor, x)
    if empty:
        raise invalid("data", "at least one sample", data)


def _batches_of_arrays(x, batch_size, seed):
    def take(array, rows):
        if isinstance(array, np.ndarray):
            return array[rows]
        return tf.gather(array, rows)

    arrays = [
        a if hasattr(a, "row_splits") else np.asarray(a)  # ragged, or dense
        for a in keras.tree.flatten(x)
    ]
    if any(len(array.shape) == 0 for array in arrays):
        raise ValueError(
            "Invalid value for argument `data`. Expected dense or ragged "
            "arrays: of sparse ones, give a `tf.data.Dataset` of batches. "
            f"Received: types {[type(a) for a in keras.tree.flatten(x)]}"
        )
    sizes = {int(a.shape[0]) for a in arrays}
    if len(sizes) != 1:
        raise ValueError(
            "Invalid value for argument `data`. Expected arrays with as many "
            f"samples each. Received: {sorted(sizes)} samples"
        )
    order = np.random.default_rng(seed).permutation(sizes.pop())
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        yield keras.tree.pack_sequence_as(
            x, [take(array, rows) for array in arrays]
        )


def _to_tensor(value):
    if tf is None:
        return ops.convert_to_tensor(np.asarray(value))
    return value if tf.is_tensor(value) else tf.convert_to_tensor(value)


def _to_float64(value):
    return ops.convert_to_numpy(value).astype("float64")


def _check_arguments(batch_size, steps):
    check_positive_int("batch_size", batch_size)
    if steps is not None:
        check_positive_int("steps", steps)


def _on_each_replica(variable):
    """A variable, or those it is under a strategy; they may differ."""
    strategy = getattr(variable.value, "distribute_strategy", None)
    if strategy is None:
        return [variable]
    return strategy.experimental_local_results(variable.value)
