"""2D convolution with distinctive regularization."""

import keras

from keras_lbreg.layers.dreg_twin import DRegTwin


@keras.saving.register_keras_serializable(package="keras_lbreg")
class DRegConv2D(DRegTwin, keras.layers.Conv2D):
    """`keras.layers.Conv2D` with distinctive regularization (DReg).

    The layer has two kernels, W_R and W_L. In training both are used and kept
    apart from each other, so that the layers below learn features that serve
    two different filters. With the rest of the network W, the published loss is

    ```
    L = l(x; W, W_R) + l(x; W, W_L) − λ ‖W_R − W_L‖²_F
    ```

    At inference the active path alone is used: the layer costs what a
    `Conv2D` costs, and `keras_lbreg.strip_dreg` makes it one again.

    With `paths="split"` the first half of the batch takes W_R and the second
    half W_L (of an odd batch, the middle sample takes W_R). That is an
    unbiased estimate of the mean of the two path losses, at the cost of a
    plain layer, and works in any Keras model; it is this package's own
    variant, not the paper's. A batch normalization after the layer sees both
    halves mixed; `keras_lbreg.apply_dreg` builds models that keep them apart.

    With `paths="both"` every sample takes both paths: a training call returns
    `[R(x); L(x)]`, twice as long on the batch axis. The loss has to know:
    see `keras_lbreg.DRegModel`, and `keras_lbreg.apply_dreg`, which builds it.

    The penalty is added by `add_loss` in float32, in training only, and once
    in a forward pass. The distance ‖W_R − W_L‖_F is logged as `dreg_distance`.
    Both paths share the bias. LoRA and quantization are refused.

    Args:
        *args, **kwargs: Arguments of `keras.layers.Conv2D`, which come first:
            `filters`, `kernel_size`, `strides`, `padding`, `data_format`,
            `dilation_rate`, `groups`, `activation`, `use_bias`, ....
        weight: λ, the weight of the penalty. Defaults to `0.1`, the paper's.
        distance: `"relative"` (the default), ‖W_R − W_L‖² / (‖W_R‖² + ‖W_L‖²),
            bounded by 2; or `"frobenius"`, ‖W_R − W_L‖², as in the paper,
            whose penalty has no lower bound: without `max_distance` it grows
            exponentially.
        max_distance: Optional number. The penalty has no gradient while
            ‖W_R − W_L‖_F is above it.
        init_distance: Size of the random perturbation that makes the first W_L
            from W_R, relative to ‖W_R‖_F. Defaults to `0.01`.
        paths: `"split"` (the default) or `"both"`.
        seed: Optional integer, the seed of the perturbation.

    Call arguments:
        inputs: A 4D tensor, as for `keras.layers.Conv2D`.
        training: Whether to use both paths, or the active path alone.

    Raises:
        ValueError: If an argument is out of its range, or `lora_rank` is
            given.

    Input and output shape: those of `keras.layers.Conv2D`; the batch axis of
    the output is twice as long in training with `paths="both"`.

    Example:

    >>> model = keras.Sequential([
    ...     keras.Input((32, 32, 3)),
    ...     keras.layers.Conv2D(32, 3, strides=2, activation="relu"),
    ...     keras_lbreg.DRegConv2D(64, 3, strides=2, activation="relu"),
    ...     keras.layers.GlobalAveragePooling2D(),
    ...     keras.layers.Dense(10),
    ... ])

    Reference:

    - [Yuan et al., 2020](https://arxiv.org/abs/2011.08968)
    """

    def apply_kernel(self, inputs, kernel):
        """The convolution of the inputs with one kernel, without the bias."""
        return self.convolution_op(inputs, kernel)
