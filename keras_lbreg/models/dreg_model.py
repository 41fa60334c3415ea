"""The model that trains both paths of its DReg layers."""

import keras
from keras import ops

from keras_lbreg.layers._stateless import in_stateless_scope
from keras_lbreg.layers.dreg_distance import DRegDistance
from keras_lbreg.layers.path_order import paths_on_every_device
from keras_lbreg.models._keras_trainer import (
    additional_losses,
    data_loss,
    right_then_left,
    split_batch,
)
from keras_lbreg.models.active_path import get_active_path, set_active_path
from keras_lbreg.models.path_graph import PathGraph, forks

PATH_REDUCTIONS = ("sum", "mean")


@keras.saving.register_keras_serializable(package="keras_lbreg")
class DRegModel(keras.Model):
    """A Functional model with DReg layers that fork the batch in training.

    `keras_lbreg.apply_dreg` makes it from a model of yours; then `compile`,
    `fit`, `evaluate`, `predict` and `save` are used as ever.

    In a training step every sample goes through the layers below the first
    DReg layer once, and through those above it twice: along the right path
    and along the left. The labels y, sample weights and masks count for both,

    ```
    loss = l(y, ŷ_R) + l(y, ŷ_L) + Σ penalties and regularization
    ```

    or half the sum of the first two with `path_reduction="mean"`. The sum is
    the paper's, and doubles the gradient of all weights that both paths share:
    compare it with a baseline of twice the learning rate. An output that does
    not depend on a DReg layer counts in both path losses too. Metrics in
    training are taken over both paths.

    `model(x, training=True)` returns `[ŷ_R; ŷ_L]`, twice as long on the batch
    axis. `evaluate`, `predict` and `model(x)` use the active path alone and
    never see a fork.

    `fit` logs the distance ‖W_R − W_L‖_F as `dreg_distance` (with several DReg
    layers, that of the last); `evaluate` leaves it out.

    Args:
        inputs: Inputs of the model, as in `keras.Model(inputs, outputs)`.
        outputs: Outputs of the model.
        name: Optional name of the model.
        path_reduction: `"sum"` (the default) or `"mean"` of the path losses.
        from_sequential: Whether `keras_lbreg.strip_dreg` is to give a
            Sequential model back, as it does where the layers are a chain.
            `keras_lbreg.apply_dreg` sets it. Defaults to `False`.
        **kwargs: Further arguments of `keras.Model`.

    Call arguments:
        inputs: Inputs of the model.
        training: Whether to take both paths.

    Raises:
        ValueError: If `path_reduction` is something else.

    Input and output shape: those of the model; the batch axis of the outputs
    is twice as long in training.

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
        if path_reduction not in PATH_REDUCTIONS:
            raise ValueError(
                "Invalid value for argument `path_reduction`. Expected one of "
                f"{PATH_REDUCTIONS}. Received: path_reduction="
                f"{path_reduction!r}"
            )
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)
        self.path_reduction = path_reduction
        self.from_sequential = from_sequential
        self._forked_outputs = PathGraph(self, forks).forked_outputs
        self._predictions_hold_both_paths = False
        self._evaluating = False

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
        # `compute_metrics`, which follows, is not told whether it is training.
        self._predictions_hold_both_paths = training and any(
            self._forked_outputs
        )
        if not self._predictions_hold_both_paths:
            return super().compute_loss(
                x, y, y_pred, sample_weight, training=training
            )
        if in_stateless_scope():
            self._look_at_distances()
        path_losses = [
            data_loss(self, y, path, sample_weight)
            for path in self._paths(y_pred)
        ]
        if self.path_reduction == "mean":
            path_losses = [loss / 2 for loss in path_losses if loss is not None]
        losses = [loss for loss in path_losses if loss is not None]
        return ops.sum(ops.stack(losses + additional_losses(self)))

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

    def _look_at_distances(self):
        """Lets the distance metrics read the weights while they are known."""
        for metric in self.metrics:
            if isinstance(metric, DRegDistance):
                metric.update_state()

    @property
    def metrics(self):
        metrics = super().metrics
        if self._evaluating:
            # `loss, accuracy = model.evaluate(...)` is to keep working.
            return [m for m in metrics if not isinstance(m, DRegDistance)]
        return metrics

    def evaluate(self, *args, **kwargs):
        self._evaluating = True
        try:
            return super().evaluate(*args, **kwargs)
        finally:
            self._evaluating = False

    def get_config(self):
        return {
            **super().get_config(),
            "path_reduction": self.path_reduction,
            "from_sequential": self.from_sequential,
        }
