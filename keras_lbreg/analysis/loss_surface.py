"""The loss of a model as a function of all its parameters."""

import inspect
import math

import keras
import numpy as np

from keras_lbreg.checks import check_choice, check_positive_int, invalid
from keras_lbreg.data.samples import check_data, count_samples, take_rows
from keras_lbreg.formatting import reason
from keras_lbreg.models._keras_trainer import data_loss
from keras_lbreg.models.dreg_model import DRegModel

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
        self, model, x, y, loss=None, batch_size=1000, statistics="moving"
    ):
        check_model("model", model)
        check_positive_int("batch_size", batch_size)
        check_statistics(statistics)
        self.model = model
        self.x, self.y = check_data("(x, y)", (x, y))
        self.samples = count_samples(self.x)
        self.loss_function = resolve_loss(model, loss)
        self.batch_size = batch_size
        self.statistics = statistics
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
        self._loss, self._gradient, self._hessian_vector_product = derivatives(
            self._batch_loss
        )
        self._estimate = None
        self.read_frozen()
        point = self._unflat(self.point())
        check_fit(
            "(x, y)",
            lambda x, y: self._batch_loss(point, self._frozen, x, y),
            *self._batch(slice(2)),
        )

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
        self._frozen = list(map(keras.ops.convert_to_tensor, frozen.values()))

    @property
    def size(self):
        """Number of parameters."""
        return sum(self.sizes)

    def point(self):
        """The parameters of the model."""
        return flat(map(to_array, self.model.trainable_variables))

    def loss(self, theta):
        """f(θ), a float."""
        return float(self._mean(self._loss, theta)[0])

    def loss_and_gradient(self, theta):
        """The pair of f(θ) and its gradient."""
        total = self._mean(self._gradient, theta)
        return float(total[0]), total[1:]

    def hessian_vector_product(self, theta, vector):
        """The product of the Hessian of f at θ with a vector."""
        return self._mean(self._hessian_vector_product, theta, vector)

    def gradient_of(self, theta, index):
        """The gradient of the mean loss of the samples of these numbers."""
        return self._mean(self._gradient, theta, index=index)[1:]

    def squared_gradients(self, theta, parts):
        """`(1/n) Σ_i |g_i|²` and `|(1/n) Σ_i g_i|²`.

        g_i is the gradient of the mean loss of the samples of part i; all parts
        have the same length. All gradients stay on the device, and none is kept
        but their sum.
        """
        point, small, total = self._unflat(theta), 0.0, None
        for part in parts:
            _, gradient = self._gradient(
                point, self._frozen, *self._batch(part)
            )
            small += squared_length(gradient) / len(parts)
            if total is not None:
                pairs = zip(total, gradient, strict=True)
                gradient = [a + b for a, b in pairs]
            total = gradient
        return small, squared_length(total) / len(parts) ** 2

    def _unflat(self, vector):
        parts = np.split(np.asarray(vector), np.cumsum(self.sizes)[:-1])
        return [
            keras.ops.convert_to_tensor(part.reshape(shape).astype(dtype))
            for part, shape, dtype in zip(
                parts, self.shapes, self.dtypes, strict=True
            )
        ]

    def _mean(self, function, *vectors, index=None):
        """The mean of a function over the samples, as one flat vector."""
        points = list(map(self._unflat, vectors))
        index = np.arange(self.samples) if index is None else index
        total = 0.0
        for first in range(0, len(index), self.batch_size):
            rows = index[first : first + self.batch_size]
            result = function(*points, self._frozen, *self._batch(rows))
            # Means of batches that may differ in size.
            share = len(rows) / len(index)
            arrays = map(keras.ops.convert_to_numpy, keras.tree.flatten(result))
            total = total + share * flat(arrays)
        return total

    def _batch(self, rows):
        return keras.tree.map_structure(
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


def derivatives(function):
    """Compiled: f(point, *rest), (f, ∇f), and (∂²f/∂θ²) v = ∇(∇f · v)."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        differentiate, compiled = jax.value_and_grad, jax.jit
    elif backend == "tensorflow":
        import tensorflow as tf

        differentiate = differentiate_on_tensorflow

        def compiled(function):
            return tf.function(function, reduce_retracing=True)
    else:
        raise RuntimeError(
            "Derivatives of the loss need the backend tensorflow or jax. "
            f"Received: {backend}"
        )
    gradient = differentiate(function)

    def slope(point, vector, *rest):
        _, partial = gradient(point, *rest)
        pairs = zip(partial, vector, strict=True)
        return sum(keras.ops.sum(g * v) for g, v in pairs)

    slope_and_gradient = differentiate(slope)

    def hessian_vector_product(point, vector, *rest):
        return slope_and_gradient(point, vector, *rest)[1]

    return tuple(map(compiled, (function, gradient, hessian_vector_product)))


def differentiate_on_tensorflow(function):
    """What `jax.value_and_grad` does, for TensorFlow."""
    import tensorflow as tf

    def value_and_gradient(point, *rest):
        with tf.GradientTape() as tape:
            tape.watch(point)
            value = function(point, *rest)
        gradient = tape.gradient(
            value, point, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        # That of an embedding is sparse.
        return value, [tf.convert_to_tensor(g) for g in gradient]

    return value_and_gradient


def flat(arrays):
    """Arrays one after the other in one float64 vector."""
    return np.concatenate([np.ravel(a).astype("float64") for a in arrays])


def squared_length(tensors):
    """The sum of the squares of all numbers, a float."""
    return float(sum(keras.ops.sum(keras.ops.square(t)) for t in tensors))


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
        expected = "a loss, or a model that is compiled with one"
        raise invalid("loss", expected, loss)
    return keras.losses.get(loss)


def check_model(name, model):
    """Raises unless it is a model with variables to differentiate by."""
    is_model = isinstance(model, keras.Model)
    if not (is_model and model.built and model.trainable_variables):
        expected = "a built `keras.Model` with trainable variables"
        raise invalid(name, expected, model)


def check_fit(argument, function, x, y):
    """Raises unless a function of a model can be called with some samples."""
    try:
        function(x, y)
    except Exception as error:
        # Whatever Keras and its backend raise, at length.
        standardize_dtype = keras.backend.standardize_dtype
        shapes = keras.tree.map_structure(
            lambda a: f"{standardize_dtype(a.dtype)}{list(a.shape)}", (x, y)
        )
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected samples that "
            f"the model takes. Received: {shapes}, of which Keras says: "
            f"{reason(error)}"
        ) from error


def check_statistics(statistics):
    check_choice("statistics", statistics, ("moving", "estimate", "batch"))
