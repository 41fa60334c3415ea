"""Normalization of a batch that holds the two paths of a DReg model."""

import keras
from keras import ops

from keras_lbreg.layers.dreg_twin import by_halves, is_left, select


@keras.saving.register_keras_serializable(package="keras_lbreg")
class PathNormalization(keras.layers.Wrapper):
    """Normalizes each path of a DReg model by its own statistics.

    After a DReg layer the batch is `[right; left]`. The wrapped layer, a
    `keras.layers.BatchNormalization` or one like it, is applied to each half
    alone: the halves have their own batch statistics and their own moving
    statistics, and share gamma and beta. The wrapped layer's own statistics
    are those of the right path. Inference uses those of the active path.

    `keras_lbreg.apply_dreg` wraps the normalization layers it finds behind a
    DReg layer, and `keras_lbreg.strip_dreg` unwraps them.

    Args:
        layer: The normalization layer. All its non-trainable variables are
            taken to be statistics of its inputs.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Input tensor. In training, its first half is the right path's.
        training: Whether to use the statistics of the batch.
        mask: Optional mask, as the wrapped layer takes it.

    Input and output shape: those of the wrapped layer.

    Example:

    >>> layer = PathNormalization(keras.layers.BatchNormalization())
    >>> layer(keras.ops.ones((8, 3)), training=True).shape
    (8, 3)

    Reference:

    - [Yuan et al., 2020](https://arxiv.org/abs/2011.08968)
    """

    def __init__(self, layer, **kwargs):
        super().__init__(layer, **{"dtype": layer.dtype_policy, **kwargs})
        self.supports_masking = True
        self.left_active = None

    def build(self, input_shape):
        super().build(input_shape)
        # A frozen layer counts gamma and beta among its non-trainable
        # variables. The statistics are what is not trainable in itself.
        trainable = self.layer.trainable
        self.layer.trainable = True
        statistics = self.layer.non_trainable_variables
        self.layer.trainable = trainable
        self.right_statistics = statistics
        self.left_statistics = [
            self.add_weight(
                name=f"{variable.name}_left",
                shape=variable.shape,
                # A copy: variables that share memory cannot be trained in JAX.
                initializer=lambda shape, dtype=None, v=variable: ops.copy(
                    ops.convert_to_tensor(v)
                ),
                dtype=variable.dtype,
                autocast=False,
                trainable=False,
            )
            for variable in statistics
        ]
        self.left_active = self.add_weight(
            name="left_active",
            shape=(),
            initializer="zeros",
            dtype="bool",
            trainable=False,
        )

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    @property
    def active_path(self):
        """The path used at inference, `"right"` or `"left"`. Settable."""
        return (
            "left" if bool(ops.convert_to_numpy(self.left_active)) else "right"
        )

    @active_path.setter
    def active_path(self, path):
        self.left_active.assign(is_left(path))

    def call(self, inputs, training=None, mask=None):
        if training:
            return by_halves(
                lambda half, mask: self._run(half, mask, self.right_statistics),
                lambda half, mask: self._run(half, mask, self.left_statistics),
                inputs,
                mask,
            )
        active = [
            select(self.left_active, left, right)
            for left, right in zip(
                self.left_statistics, self.right_statistics, strict=True
            )
        ]
        return self._apply(inputs, mask, active, training=False)[0]

    def _run(self, inputs, mask, statistics):
        """The wrapped layer with one path's statistics, which it updates."""
        outputs, updated = self._apply(inputs, mask, statistics, training=True)
        for variable, value in zip(statistics, updated, strict=True):
            variable.assign(value)
        return outputs

    def _apply(self, inputs, mask, statistics, training):
        """Outputs and new statistics of the wrapped layer, without effects."""
        given = {
            id(variable): value
            for variable, value in zip(
                self.right_statistics, statistics, strict=True
            )
        }
        variables = self.layer.non_trainable_variables
        kwargs = {} if mask is None else {"mask": mask}
        outputs, updated = self.layer.stateless_call(
            self.layer.trainable_variables,
            [given.get(id(variable), variable) for variable in variables],
            inputs,
            training=training,
            **kwargs,
        )
        new = {
            id(variable): value
            for variable, value in zip(variables, updated, strict=True)
        }
        return outputs, [new[id(v)] for v in self.right_statistics]
