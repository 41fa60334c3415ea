"""2D depthwise convolution with distinctive regularization."""

import keras
from keras import ops

from keras_lbreg.layers.dreg_layer import DRegLayer


@keras.saving.register_keras_serializable(package="keras_lbreg")
class DRegDepthwiseConv2D(DRegLayer, keras.layers.DepthwiseConv2D):
    """`keras.layers.DepthwiseConv2D` with distinctive regularization (DReg).

    The layer has two kernels, W_R and W_L, which are both trained and kept
    apart:

    ```
    L = l(x; W, W_R) + l(x; W, W_L) − λ d(W_R, W_L)
    ```

    `keras_lbreg.DRegConv2D` documents the paths, the distances, the penalty and
    what happens at inference. This is the layer the paper uses in
    MobileNetV2.

    Args:
        kernel_size: Integer or tuple of 2 integers.
        strides: Integer or tuple of 2 integers. Defaults to `(1, 1)`.
        padding: `"valid"` (the default) or `"same"`.
        depth_multiplier: Integer, the number of output channels for each input
            channel. Defaults to `1`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            `keras.config.image_data_format()`.
        dilation_rate: Integer or tuple of 2 integers. Defaults to `(1, 1)`.
        activation: Activation function. Defaults to `None`, none.
        use_bias: Whether to add a bias for both paths. Defaults to `True`.
        depthwise_initializer: Initializer of W_R.
            Defaults to `"glorot_uniform"`.
        bias_initializer: Initializer of the bias. Defaults to `"zeros"`.
        depthwise_regularizer: Optional regularizer of each kernel.
        bias_regularizer: Optional regularizer of the bias.
        activity_regularizer: Optional regularizer of the output.
        depthwise_constraint: Optional constraint of each kernel.
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
        inputs: A 4D tensor, as for `keras.layers.DepthwiseConv2D`.
        training: Whether to use both paths, or the active path alone.

    Input shape:

    A 4D tensor, `(batch, height, width, channels)` or with
    `data_format="channels_first"` `(batch, channels, height, width)`.

    Output shape:

    A 4D tensor, `(batch, new_height, new_width, channels * depth_multiplier)`
    or with the channels second; in training with `paths="both"` the batch axis
    is twice as long.

    Raises:
        ValueError: As `keras_lbreg.DRegConv2D`.

    Example:

    >>> layer = keras_lbreg.DRegDepthwiseConv2D(3, padding="same")
    >>> layer(keras.ops.ones((8, 16, 16, 4)), training=True).shape
    (8, 16, 16, 4)

    Reference:

    - [Yuan et al., 2020](https://arxiv.org/abs/2011.08968)
    """

    def __init__(
        self,
        kernel_size,
        strides=(1, 1),
        padding="valid",
        depth_multiplier=1,
        data_format=None,
        dilation_rate=(1, 1),
        activation=None,
        use_bias=True,
        depthwise_initializer="glorot_uniform",
        bias_initializer="zeros",
        depthwise_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        depthwise_constraint=None,
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
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            depth_multiplier=depth_multiplier,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            depthwise_initializer=depthwise_initializer,
            bias_initializer=bias_initializer,
            depthwise_regularizer=depthwise_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            depthwise_constraint=depthwise_constraint,
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
        """The convolution of the inputs with one kernel, without the bias."""
        return ops.depthwise_conv(
            inputs,
            kernel,
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )
