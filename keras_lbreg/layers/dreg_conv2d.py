"""2D convolution with distinctive regularization."""

import keras

from keras_lbreg.layers.dreg_layer import DRegLayer


@keras.saving.register_keras_serializable(package="keras_lbreg")
class DRegConv2D(DRegLayer, keras.layers.Conv2D):
    """`keras.layers.Conv2D` with distinctive regularization (DReg).

    The layer has two kernels, W_R and W_L. In training both are used and kept
    apart from each other, so that the layers below learn features that serve
    two different filters. With the rest of the network W, the loss is

    ```
    L = l(x; W, W_R) + l(x; W, W_L) − λ d(W_R, W_L)

    d = ‖W_R − W_L‖²_F                                     "frobenius"
    d = n₀ ‖W_R − W_L‖²_F / (‖W_R‖²_F + ‖W_L‖²_F)          "bounded"
    ```

    The published distance is the first. It has no upper bound, and grows
    exponentially in training unless `max_distance` ends its gradient. In the
    second, n₀ is the value of ‖W_R‖²_F + ‖W_L‖²_F when the layer is built or
    `apply_dreg` gives it its weights, a constant that is saved with the layer.
    So λ means the same at the start, but d is at most 2 n₀, and its gradient
    turns the kernels apart, at most to W_L = −W_R, and does not make them grow.

    At inference the active path alone is used: the layer costs what a
    `Conv2D` costs, and `keras_lbreg.strip_dreg` makes it one again.

    With `paths="split"` the first half of the batch takes W_R and the second
    half W_L (of an odd batch, the middle sample takes W_R): an unbiased
    estimate of the mean of the two path losses, at the cost of a plain layer.
    It is this package's own variant, not the paper's. With `paths="both"` every
    sample takes both paths: a training call returns `[R(x); L(x)]`, twice as
    long on the batch axis. The loss has to know: see `keras_lbreg.apply_dreg`,
    which builds a model that does.

    The penalty is one of the layer's `losses` after a training call. LoRA and
    quantization are refused. After assigning another value to `kernel`, call
    `reset_left()`.

    Args:
        filters: Integer, the number of filters.
        kernel_size: Integer or tuple of 2 integers.
        strides: Integer or tuple of 2 integers. Defaults to `(1, 1)`.
        padding: `"valid"` (the default) or `"same"`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            `keras.config.image_data_format()`.
        dilation_rate: Integer or tuple of 2 integers. Defaults to `(1, 1)`.
        groups: Positive integer, the number of groups. Defaults to `1`.
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
        inputs: A 4D tensor, as for `keras.layers.Conv2D`.
        training: Whether to use both paths, or the active path alone.

    Input shape:

    A 4D tensor, `(batch, height, width, channels)` or with
    `data_format="channels_first"` `(batch, channels, height, width)`.

    Output shape:

    A 4D tensor, `(batch, new_height, new_width, filters)` or `(batch, filters,
    new_height, new_width)`; in training with `paths="both"` the batch axis is
    twice as long.

    Raises:
        ValueError: If an argument is out of its range, `dtype` is no
            floating-point policy, or `lora_rank` is given.

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

    def __init__(
        self,
        filters,
        kernel_size,
        strides=(1, 1),
        padding="valid",
        data_format=None,
        dilation_rate=(1, 1),
        groups=1,
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
            filters=filters,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            groups=groups,
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
        """The convolution of the inputs with one kernel, without the bias."""
        return self.convolution_op(inputs, kernel)
