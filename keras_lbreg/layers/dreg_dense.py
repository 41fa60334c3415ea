"""Densely connected layer with distinctive regularization."""

import keras
from keras import ops

from keras_lbreg.layers.dreg_layer import DRegLayer


@keras.saving.register_keras_serializable(package="keras_lbreg")
class DRegDense(DRegLayer, keras.layers.Dense):
    """`keras.layers.Dense` with distinctive regularization (DReg).

    The layer has two kernels, W_R and W_L, which are both trained and kept
    apart:

    ```
    L = l(x; W, W_R) + l(x; W, W_L) − λ d(W_R, W_L)
    ```

    `keras_lbreg.DRegConv2D` documents the paths, the distances, the penalty and
    what happens at inference. The paper regularizes convolutions; this
    layer serves models that have none.

    Args:
        units: Positive integer, the dimension of the output.
        activation: Activation function. Defaults to `None`, none.
        use_bias: Whether to add a bias for both paths. Defaults to `True`.
        kernel_initializer: Initializer of W_R. Defaults to `"glorot_uniform"`.
        bias_initializer: Initializer of the bias. Defaults to `"zeros"`.
        kernel_regularizer: Optional regularizer of each kernel.
        bias_regularizer: Optional regularizer of the bias.
        activity_regularizer: Optional regularizer of the output.
        kernel_constraint: Optional constraint of each kernel.
        bias_constraint: Optional constraint of the bias.
        weight: λ, the weight of the penalty. Defaults to `0.01`.
        distance: `"bounded"` (the default) or `"frobenius"`, as published.
        max_distance: Optional ‖W_R − W_L‖_F beyond which there is no gradient.
        init_distance: Relative size of the perturbation of W_R that makes the
            first W_L. Defaults to `0.01`.
        paths: `"split"` (the default) or `"both"`.
        seed: Optional integer, the seed of the perturbation.
        **kwargs: Arguments of `keras.layers.Layer`: `name`, `dtype`,
            `trainable`.

    Call arguments:
        inputs: A tensor of rank 2 or more, as for `keras.layers.Dense`, dense
            or sparse.
        training: Whether to use both paths, or the active path alone.

    Input shape:

    An N-D tensor, `(batch, ..., input_dim)`.

    Output shape:

    An N-D tensor, `(batch, ..., units)`; in training with `paths="both"` the
    batch axis is twice as long.

    Raises:
        ValueError: As `keras_lbreg.DRegConv2D`.

    Example:

    >>> layer = keras_lbreg.DRegDense(4, paths="both")
    >>> layer(keras.ops.ones((8, 3)), training=True).shape
    (16, 4)
    >>> layer(keras.ops.ones((8, 3))).shape
    (8, 4)

    Reference:

    - [Yuan et al., 2020](https://arxiv.org/abs/2011.08968)
    """

    def __init__(
        self,
        units,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        *,
        weight=0.01,
        distance="bounded",
        max_distance=None,
        init_distance=0.01,
        paths="split",
        seed=None,
        **kwargs,
    ):
        super().__init__(
            units=units,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            weight=weight,
            distance=distance,
            max_distance=max_distance,
            init_distance=init_distance,
            paths=paths,
            seed=seed,
            **kwargs,
        )

    def apply_kernel(self, inputs, kernel):
        """The product of the inputs with one kernel, without the bias."""
        return ops.matmul(inputs, kernel)
