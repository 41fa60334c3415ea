"""2D depthwise convolution with distinctive regularization."""

import keras
from keras import ops

from keras_lbreg.layers.dreg_twin import DRegTwin


@keras.saving.register_keras_serializable(package="keras_lbreg")
class DRegDepthwiseConv2D(DRegTwin, keras.layers.DepthwiseConv2D):
    """`keras.layers.DepthwiseConv2D` with distinctive regularization (DReg).

    The layer has two kernels, W_R and W_L, which are both trained and kept
    apart:

    ```
    L = l(x; W, W_R) + l(x; W, W_L) − λ ‖W_R − W_L‖²_F
    ```

    `keras_lbreg.DRegConv2D` documents the paths, the penalty and what happens
    at inference. This is the layer the paper uses in MobileNetV2.

    Args:
        *args, **kwargs: Arguments of `keras.layers.DepthwiseConv2D`, which
            come first: `kernel_size`, `strides`, `padding`,
            `depth_multiplier`, `data_format`, `dilation_rate`, ....
        weight: λ, the weight of the penalty. Defaults to `0.1`.
        distance: `"relative"` (the default, bounded) or `"frobenius"` (the
            paper's, unbounded).
        max_distance: Optional number. The penalty has no gradient while
            ‖W_R − W_L‖_F is above it.
        init_distance: Relative size of the first perturbation. Defaults to
            `0.01`.
        paths: `"split"` (the default) or `"both"`.
        seed: Optional integer, the seed of the perturbation.

    Call arguments:
        inputs: A 4D tensor, as for `keras.layers.DepthwiseConv2D`.
        training: Whether to use both paths, or the active path alone.

    Raises:
        ValueError: If an argument is out of its range.

    Input and output shape: those of `keras.layers.DepthwiseConv2D`; the batch
    axis of the output is twice as long in training with `paths="both"`.

    Example:

    >>> layer = keras_lbreg.DRegDepthwiseConv2D(3, padding="same")
    >>> layer(keras.ops.ones((8, 16, 16, 4)), training=True).shape
    (8, 16, 16, 4)

    Reference:

    - [Yuan et al., 2020](https://arxiv.org/abs/2011.08968)
    """

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
