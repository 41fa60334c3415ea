"""Normalization of a batch that holds the two paths of a DReg model."""

import keras
from keras import ops

from keras_lbreg.layers._keras_layer import outside_of_graphs, own_state
from keras_lbreg.layers.paths import ActivePath, by_halves, select


@keras.saving.register_keras_serializable(package="keras_lbreg")
class PathNormalization(ActivePath, keras.layers.Wrapper):
    """Normalizes each path of a DReg model by its own statistics.

    The paths share gamma and beta. The wrapped layer's own statistics are those
    of the right path. Inference uses those of the active path.
    """

    def __init__(self, layer, **kwargs):
        super().__init__(layer, **{"dtype": layer.dtype_policy, **kwargs})
        self.supports_masking = True
        self.left_active = None

    def build(self, input_shape):
        super().build(input_shape)
        with outside_of_graphs():
            self._add_left()

    def _add_left(self):
        self.right_statistics = own_state(self.layer)
        self.left_statistics = []
        for number, variable in enumerate(self.right_statistics):
            left = self.add_weight(
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
            self.left_statistics.append(left)
            # `tf.train.Checkpoint` follows attributes, but no lists.
            setattr(self, f"left_{number}", left)
        self.add_left_active()

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

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
        own = [id(variable) for variable in self.right_statistics]
        given = dict(zip(own, statistics, strict=True))
        variables = self.layer.non_trainable_variables
        kwargs = {} if mask is None else {"mask": mask}
        outputs, updated = self.layer.stateless_call(
            self.layer.trainable_variables,
            [given.get(id(variable), variable) for variable in variables],
            inputs,
            training=training,
            **kwargs,
        )
        new = dict(zip(map(id, variables), updated, strict=True))
        return outputs, [new[key] for key in own]
