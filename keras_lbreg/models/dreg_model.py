"""The model that trains both paths of its DReg layers."""

import functools
import inspect
import types
import warnings

import keras
from keras import ops

from keras_lbreg.checks import check_choice, invalid
from keras_lbreg.layers.dreg_layer import DRegLayer
from keras_lbreg.layers.dreg_penalty import kernel_distance
from keras_lbreg.layers.paths import ActivePath, paths_on_every_device
from keras_lbreg.models._keras_graph import is_chain, sublayers
from keras_lbreg.models._keras_trainer import (
    additional_loss,
    data_loss,
    right_then_left,
    split_batch,
    unscaled_loss,
)
from keras_lbreg.models.path_graph import PathGraph, forks

PATH_REDUCTIONS = ("sum", "mean")

# Root mean square of W_R − W_L above which the kernels run away.
RUNAWAY = 10.0


@keras.saving.register_keras_serializable(package="keras_lbreg")
class DRegModel(keras.Model):
    """A Functional model with DReg layers that fork the batch in training.

    `keras_lbreg.apply_dreg` makes it from a model of yours; then `compile`,
    `fit`, `evaluate`, `predict` and `save` are used as ever.

    In a training step every sample goes through the layers below the first
    DReg layer once, and through those above it twice: along the right path
    and along the left. Labels, sample weights and masks count for both. What is
    optimised is

    ```
    dreg_loss = l(y, ŷ_R) + l(y, ŷ_L) − λ d(W_R, W_L) + further losses
    ```

    or half the sum of the first two with `path_reduction="mean"`; further
    losses are those of regularizers and `add_loss`. The sum is the paper's, and
    doubles the gradient of all weights that both paths share: compare it with a
    baseline of twice the learning rate.

    What is logged as `loss` is on the scale of `val_loss`, where the active
    path is alone and has no penalty:

    ```
    loss = (l(y, ŷ_R) + l(y, ŷ_L)) / 2 + further losses
    ```

    The gradient is that of `dreg_loss`. `fit` adds to the logs of an epoch the
    mean of `dreg_loss`, and for each DReg layer ‖W_R − W_L‖_F as
    `dreg_distance/<layer name>`. Metrics in training are taken over both paths.

    `evaluate`, `predict` and `model(x)` use the active path alone.

    Args:
        inputs: Input tensors of the model, as in `keras.Model`.
        outputs: Its output tensors.
        name: Optional name.
        path_reduction: `"sum"` (the default) or `"mean"` of the path losses.
        from_sequential: Whether `keras_lbreg.strip_dreg` is to give a
            Sequential model back, where the layers are a chain. Defaults to
            `False`.
        **kwargs: Further arguments of `keras.Model`.

    Call arguments:
        inputs: Inputs of the model.
        training: Whether to take both paths and return `[ŷ_R; ŷ_L]`, twice as
            long on the batch axis.

    Example:

    >>> inputs = keras.Input((28, 28, 1))
    >>> x = keras_lbreg.DRegConv2D(32, 3, paths="both")(inputs)
    >>> x = keras.layers.GlobalAveragePooling2D()(x)
    >>> outputs = keras.layers.Dense(10, activation="softmax")(x)
    >>> model = keras_lbreg.DRegModel(inputs, outputs)

    Reference:

    - [Yuan et al., 2020](https://arxiv.org/abs/2011.08968)
    """

    def __init__(
        self,
        inputs,
        outputs,
        name=None,
        *,
        path_reduction="sum",
        from_sequential=False,
        **kwargs,
    ):
        check_choice("path_reduction", path_reduction, PATH_REDUCTIONS)
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)
        self.path_reduction = path_reduction
        self.from_sequential = from_sequential
        self._forked_outputs = PathGraph(self, forks).forked_outputs
        self._predictions_hold_both_paths = False
        # Where Keras does not find it: a training step returns all metrics.
        self._objective = types.SimpleNamespace(
            metric=keras.metrics.Mean(name="dreg_loss", dtype="float32")
        )

    @property
    def active_path(self):
        """The path used at inference, `"right"` or `"left"`. Settable."""
        return get_active_path(self)

    @active_path.setter
    def active_path(self, path):
        set_active_path(self, path)

    def call(self, inputs, training=None, mask=None, **kwargs):
        if not training or keras.distribution.distribution() is None:
            return super().call(inputs, training=training, mask=mask, **kwargs)
        with paths_on_every_device():
            outputs = super().call(
                inputs, training=training, mask=mask, **kwargs
            )
            ordered = [
                right_then_left(tensor) if forked else tensor
                for tensor, forked in zip(
                    keras.tree.flatten(outputs),
                    self._forked_outputs,
                    strict=True,
                )
            ]
        return keras.tree.pack_sequence_as(outputs, ordered)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        # `compute_metrics`, which follows, does not know if it is training.
        self._predictions_hold_both_paths = training and any(
            self._forked_outputs
        )
        if not training:
            return super().compute_loss(
                x, y, y_pred, sample_weight, training=training
            )
        predictions = [y_pred]
        if self._predictions_hold_both_paths:
            predictions = self._paths(y_pred)
        data_losses = [
            data_loss(self, y, path, sample_weight) for path in predictions
        ]
        data_losses = [loss for loss in data_losses if loss is not None]
        further = [additional_loss(self, loss) for loss in self.losses]
        if not data_losses + further:
            # Keras's error, or what it makes of a model without a loss.
            return super().compute_loss(x, y, y_pred, sample_weight)
        penalties = [
            additional_loss(self, layer.compute_penalty())
            for layer in dreg_layers(self)
            if layer.penalty_counts
        ]
        scale = 1 / len(data_losses) if data_losses else 1.0
        mean = [loss * scale for loss in data_losses]
        # In this order a huge penalty takes no digits from the data's loss.
        logged = _sum(mean) + (_sum(further) - _sum(penalties))
        is_sum = self.path_reduction == "sum"
        optimised = _sum((data_losses if is_sum else mean) + further)
        inputs = keras.tree.flatten(y_pred if x is None else x)
        first = next(i for i in inputs if i is not None)
        self._objective.metric.update_state(
            unscaled_loss(optimised), sample_weight=ops.shape(first)[0]
        )
        return ops.stop_gradient(logged) + (
            optimised - ops.stop_gradient(optimised)
        )

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        if not self._predictions_hold_both_paths:
            return super().compute_metrics(x, y, y_pred, sample_weight)
        right, left = self._paths(y_pred)
        super().compute_metrics(x, y, right, sample_weight)
        return super().compute_metrics(x, y, left, sample_weight)

    def _paths(self, y_pred):
        """The predictions of each path, in the structure of the outputs."""
        pairs = [
            split_batch(tensor) if forked else (tensor, tensor)
            for tensor, forked in zip(
                keras.tree.flatten(y_pred), self._forked_outputs, strict=True
            )
        ]
        return [
            keras.tree.pack_sequence_as(y_pred, [pair[i] for pair in pairs])
            for i in (0, 1)
        ]

    @property
    def metrics_variables(self):
        # JAX's steps return what they change, by this list.
        own = self._objective.metric.variables
        return [*super().metrics_variables, *own]

    @functools.wraps(keras.Model.fit)
    def fit(self, *args, **kwargs):
        call = inspect.signature(super().fit).bind(*args, **kwargs)
        callbacks = call.arguments.get("callbacks")
        logs = _DRegLogs(self._objective.metric)
        # First, so that all others find the entries in the logs.
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks = [logs, *keras.tree.flatten(callbacks or [])]
        elif not any(isinstance(c, _DRegLogs) for c in callbacks.callbacks):
            callbacks.callbacks.insert(0, logs)
            logs.set_model(self)
        call.arguments["callbacks"] = callbacks
        return super().fit(*call.args, **call.kwargs)

    def get_config(self):
        return {
            **super().get_config(),
            "path_reduction": self.path_reduction,
            "from_sequential": self.from_sequential,
        }


# A legacy `.h5` file has the bare name of a model's class.
keras.saving.get_custom_objects()["DRegModel"] = DRegModel


class _DRegLogs(keras.callbacks.Callback):
    """Adds the optimised loss and the distances to the logs of an epoch."""

    def __init__(self, objective):
        super().__init__()
        self.objective = objective

    def on_epoch_begin(self, epoch, logs=None):
        self.objective.reset_state()

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["dreg_loss"] = float(self.objective.result())
            logs.update(dreg_distances(self.model))


def dreg_layers(model):
    """The DReg layers in `model`, at any depth, that are built."""
    return [x for x in sublayers(model) if isinstance(x, DRegLayer) and x.built]


def dreg_distances(model):
    """The logs `dreg_distance/<layer>` of all DReg layers in a model."""
    layers = dreg_layers(model)
    names = [layer.name for layer in layers]
    logs = {}
    for layer in layers:
        name = layer.name if names.count(layer.name) == 1 else layer.path
        distance = float(kernel_distance(layer.kernel, layer.kernel_left))
        logs[f"dreg_distance/{name}"] = distance
        limit = RUNAWAY * float(ops.prod(layer.kernel.shape)) ** 0.5
        # Written so that NaN counts as running away.
        if layer.distance == "frobenius" and not distance <= limit:
            warnings.warn(
                f"The two kernels of DReg layer '{name}' are running away "
                "from each other. The published penalty, -weight * "
                "||R - L||^2, has no lower bound. Use "
                'distance="bounded", or give `max_distance`.',
                RuntimeWarning,
                stacklevel=2,
            )
    return logs


def path_layers(model):
    """The built layers with two paths; raises if `model` has none at all."""
    layers = [x for x in sublayers(model) if isinstance(x, ActivePath)]
    if not layers:
        expected = "a model with a DReg layer, as of `keras_lbreg.apply_dreg`"
        raise invalid("model", expected, model)
    return [x for x in layers if x.left_active is not None]


def get_active_path(model):
    """The path used at inference, `"right"` or `"left"`."""
    layers = path_layers(model)
    return layers[0].active_path if layers else "right"


def set_active_path(model, path):
    """Makes all layers of `model` use one path at inference."""
    for layer in path_layers(model):
        layer.active_path = path


def plain_class(model):
    """The class in place of `DRegModel`; `None`: the model's own."""
    if not isinstance(model, DRegModel):
        return None
    if model.from_sequential and is_chain(model):
        return keras.Sequential
    return keras.Model


def _sum(losses):
    """The sum of losses of any floating-point dtypes; 0 of none."""
    if not losses:
        return 0.0
    dtype = keras.backend.result_type(*[loss.dtype for loss in losses])
    return sum(ops.cast(loss, dtype) for loss in losses)
