"""The layer that shows a tensor to both paths of a DReg model."""

import keras

from keras_lbreg.layers.path_order import stack_paths


@keras.saving.register_keras_serializable(package="keras_lbreg")
class PathFork(keras.layers.Layer):
    """Stacks a batch on itself in training: `[x; x]`.

    `keras_lbreg.apply_dreg` puts it where a tensor that did not come through
    a DReg layer meets one that did: the shortcut around a block, a second
    input. At inference it returns its input.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: A tensor with a batch axis.
        training: Whether to stack.

    Input and output shape: the same, the batch axis of the output twice as
    long in training.

    Example:

    >>> PathFork()(keras.ops.ones((4, 3)), training=True).shape
    (8, 3)

    Reference:

    - [Yuan et al., 2020](https://arxiv.org/abs/2011.08968)
    """

    def __init__(self, **kwargs):
        # Token ids and float32 side inputs pass as they are.
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True
        self._stacked = False

    def call(self, inputs, training=None):
        self._stacked = bool(training)
        return stack_paths(inputs, inputs) if training else inputs

    def compute_mask(self, inputs, previous_mask):
        if previous_mask is None or not self._stacked:
            return previous_mask
        return stack_paths(previous_mask, previous_mask)

    def compute_output_spec(self, inputs, training=None):
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape
