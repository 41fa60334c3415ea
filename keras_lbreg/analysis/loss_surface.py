"""The loss of a model as a function of all its parameters."""

import inspect
import math

import keras
import numpy as np

from keras_lbreg.analysis.derivatives import make_derivatives
from keras_lbreg.checks import check_positive_int
from keras_lbreg.data.samples import count_samples, take_rows
from keras_lbreg.models._keras_trainer import data_loss
from keras_lbreg.models.dreg_model import DRegModel

# Data up to this size is handed to the backend once and stays there.
MOST_KEPT_BYTES = 2**30

# Samples on which statistics are estimated, and how many at a time.
MOST_FOR_STATISTICS = 10_000
STATISTICS_BATCH = 1000


class LossSurface:
    """Mean loss over a dataset at any point of parameter space.

    ```
    f(θ) = (1/n) Σ_i l(y_i, model(x_i; θ))
    ```

    Points and directions are flat float64 vectors of `size` numbers, the
    trainable variables one after the other. The model runs in inference mode
    (unless `statistics` says otherwise): batch normalization uses statistics
    that do not depend on the batch, and dropout is off, so that f is one fixed
    smooth function. What `add_loss` and regularizers add is no part of it.

    Args:
        model: A built `keras.Model`. It is left as it is.
        x: Array of inputs, or a structure of arrays as `fit` takes it.
        y: Array of targets, or a structure of arrays.
        loss: A `keras.losses.Loss`, or its name. Defaults to the loss the
            model is compiled with, or all of its losses with their weights.
        batch_size: Samples at a time; it changes the speed alone. Defaults
            to `1000`.
        on_progress: Optional, called with the number of samples of each batch
            as it is done.
        statistics: `"moving"` (the default) keeps the moving statistics of
            batch normalization, which lag behind the weights, `"estimate"`
            those that `keras_lbreg.reestimate_batch_norm` measures on the
            inputs (10,000 random ones, if there are more). `"batch"` runs the
            model in training mode, each batch with statistics of its own and
            the gradient passing through them: f is then a function of how the
            data is cut into batches. With a `keras_lbreg.DRegModel`, it is
            the sum or mean of the two paths' losses, without the penalty.

    Raises:
        ValueError: The model has no variables or no loss, or the arrays do
            not fit each other.

    Example:

    >>> surface = LossSurface(model, x_val, y_val)
    >>> theta = surface.point()
    >>> loss, gradient = surface.loss_and_gradient(theta)

    """

    def __init__(
        self,
        model,
        x,
        y,
        loss=None,
        batch_size=1000,
        on_progress=None,
        statistics="moving",
    ):
        check_data(x, y, batch_size)
        check_statistics(statistics)
        if not model.built or not model.trainable_variables:
            raise ValueError(
                "Invalid value for argument `model`. Expected a built model "
                f"with trainable variables. Received: model={model!r}"
            )
        self.model = model
        self.x, self.y = keras.tree.map_structure(np.asarray, (x, y))
        self.samples = count_samples(self.x)
        self.loss_function = resolve_loss(model, loss)
        self.batch_size = batch_size
        self.statistics = statistics
        self.on_progress = on_progress or (lambda samples: None)
        variables = model.trainable_variables
        self.shapes = [tuple(v.shape) for v in variables]
        self.sizes = [math.prod(shape) for shape in self.shapes]
        # Points are in the variables' precision, but no lower than float32.
        self.dtypes = [
            keras.backend.result_type(v.dtype, "float32") for v in variables
        ]
        # A model of the user's own may not take `training`.
        takes = inspect.signature(model.call).parameters
        mode = {"training": statistics == "batch"}
        self._mode = mode if "training" in takes else {}
        self._derivatives = make_derivatives(self._batch_loss)
        self._estimate = self._batches = None
        self.read_frozen()

    def read_frozen(self):
        """Read anew what the model has beside its trainable variables."""
        # Not above: the callbacks import this module.
        from keras_lbreg.callbacks.reestimate_batch_normalization import (
            StatisticsEstimator,
        )

        frozen = {
            id(v): to_array(v) for v in self.model.non_trainable_variables
        }
        if self.statistics == "estimate":
            if self._estimate is None:
                self._estimate = StatisticsEstimator(self.model)
            steps = MOST_FOR_STATISTICS // STATISTICS_BATCH
            found = self._estimate((self.x,), STATISTICS_BATCH, steps=steps)
            for variable, value in found:
                frozen[id(variable)] = value.astype(to_array(variable).dtype)
        self._frozen = list(frozen.values())

    @property
    def size(self):
        """Number of parameters."""
        return sum(self.sizes)

    def point(self, model=None):
        """The parameters of the model, or of another of the same shape."""
        variables = (model or self.model).trainable_variables
        return np.concatenate(
            [to_array(v).astype("float64").reshape(-1) for v in variables]
        )

    def unflat(self, vector):
        parts = np.split(np.asarray(vector), np.cumsum(self.sizes)[:-1])
        return [
            keras.ops.convert_to_tensor(part.reshape(shape).astype(dtype))
            for part, shape, dtype in zip(
                parts, self.shapes, self.dtypes, strict=True
            )
        ]

    def loss(self, theta):
        """f(θ), a float."""
        return float(self._mean("loss", theta)[0])

    def loss_and_gradient(self, theta):
        """The pair of f(θ) and its gradient."""
        total = self._mean("loss_and_gradient", theta)
        return float(total[0]), total[1:]

    def hessian_vector_product(self, theta, vector):
        """The product of the Hessian of f at θ with a vector."""
        return self._mean("hessian_vector_product", theta, vector)

    def gradient_of(self, theta, index):
        """The gradient of the mean loss of the samples of these numbers."""
        return self._mean("loss_and_gradient", theta, index=index)[1:]

    def squared_gradients(self, theta, parts):
        """Squared lengths of the gradients of parts, and of all together.

        ```
        (1/n) Σ_i |g_i|²,    |(1/n) Σ_i g_i|²
        ```

        for g_i the gradient of the mean loss of part i, a list of arrays of
        equal length, the numbers of samples. Beside the sum of the gradients,
        none of them is kept.
        """
        point = self.unflat(theta)
        total = self.unflat(np.zeros(self.size))
        small = 0.0
        for part in parts:
            x, y = take_rows((self.x, self.y), part)
            squared, *total = self._derivatives.squared_gradient(
                point, total, self._frozen, x, y
            )
            small += float(squared) / len(parts)
        big = float(self._derivatives.squared_length(total)) / len(parts) ** 2
        return small, big

    def _mean(self, kind, theta, *vectors, index=None):
        function = getattr(self._derivatives, kind)
        points = [self.unflat(vector) for vector in (theta, *vectors)]
        samples = self.samples if index is None else len(index)
        total = 0.0
        for x, y in self._parts(index):
            size = count_samples(x)
            result = function(*points, self._frozen, x, y)
            flat = np.concatenate([np.asarray(a).reshape(-1) for a in result])
            # Means of batches that may differ in size.
            total = total + (flat * (size / samples)).astype("float64")
            self.on_progress(size)
        return total

    def _parts(self, index):
        """The batches, of the samples that `index` names or of all."""
        arrays = keras.tree.flatten((self.x, self.y))
        size = sum(array.nbytes for array in arrays)
        if index is not None or size > MOST_KEPT_BYTES:
            return self._cut(index)
        if self._batches is None:
            self._batches = list(self._cut(None))
        return self._batches

    def _cut(self, index):
        count = self.samples if index is None else len(index)
        for first in range(0, count, self.batch_size):
            rows = slice(first, first + self.batch_size)
            rows = rows if index is None else index[rows]
            yield keras.tree.map_structure(
                keras.ops.convert_to_tensor, take_rows((self.x, self.y), rows)
            )

    def _batch_loss(self, point, frozen, x, y):
        predicted, _ = self.model.stateless_call(point, frozen, x, **self._mode)
        predicted = keras.tree.map_structure(at_least_float32, predicted)
        paths = 1
        if self.statistics == "batch" and isinstance(self.model, DRegModel):
            # Predictions of the right path, then of the left one.
            rows, samples = (
                keras.ops.shape(keras.tree.flatten(values)[0])[0]
                for values in (predicted, y)
            )
            paths = rows // samples
            y = keras.tree.map_structure(
                lambda values: keras.ops.concatenate([values] * 2)[:rows], y
            )
        if self.loss_function is None:
            loss = data_loss(self.model, y, predicted, None)
        else:
            loss = keras.ops.mean(self.loss_function(y, predicted))
        if getattr(self.model, "path_reduction", "mean") == "sum":
            loss = loss * keras.ops.cast(paths, loss.dtype)
        return loss


def at_least_float32(values):
    # A loss in half precision would round differences away.
    dtype = keras.backend.result_type(values.dtype, "float32")
    return keras.ops.cast(values, dtype)


def to_array(variable):
    array = keras.ops.convert_to_numpy(variable)
    # JAX's bfloat16 is no type of NumPy's own.
    return array.astype("float32") if array.dtype.kind == "V" else array


def resolve_loss(model, loss):
    """The one loss, or `None` for all of those the model is compiled with."""
    given, loss = loss, getattr(model, "loss", None) if loss is None else loss
    several = isinstance(loss, (dict, list, tuple))
    if several and given is None:
        return None
    if several or loss is None:
        raise ValueError(
            "Invalid value for argument `loss`. Expected a loss, or a model "
            f"that is compiled with one. Received: loss={loss!r}"
        )
    return keras.losses.get(loss)


def check_data(x, y, batch_size):
    lengths = {len(array) for array in keras.tree.flatten((x, y))}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            "Expected at least one sample, and as many inputs as targets. "
            f"Received: arrays of {sorted(lengths)} samples"
        )
    check_positive_int("batch_size", batch_size)


def check_statistics(statistics):
    if statistics not in ("moving", "estimate", "batch"):
        raise ValueError(
            "Invalid value for argument `statistics`. Expected 'moving', "
            f"'estimate' or 'batch'. Received: statistics={statistics!r}"
        )
