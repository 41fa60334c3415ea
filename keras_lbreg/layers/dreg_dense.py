"""Densely connected layer with distinctive regularization."""

import keras
from keras import ops

from keras_lbreg.layers.dreg_twin import DRegTwin
from keras_lbreg.layers.path_order import stack_paths


@keras.saving.register_keras_serializable(package="keras_lbreg")
class DRegDense(DRegTwin, keras.layers.Dense):
    """`keras.layers.Dense` with distinctive regularization (DReg).

    The layer has two kernels, W_R and W_L, which are both trained and kept
    apart:

    ```
    L = l(x; W, W_R) + l(x; W, W_L) − λ ‖W_R − W_L‖²_F
    ```

    `keras_lbreg.DRegConv2D` documents the paths, the penalty and what happens
    at inference. The paper regularizes convolutions; this layer serves models
    that have none.

    Args:
        *args, **kwargs: Arguments of `keras.layers.Dense`, which come first:
            `units`, `activation`, `use_bias`, ....
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
        inputs: A tensor of rank 2 or more, as for `keras.layers.Dense`.
        training: Whether to use both paths, or the active path alone.

    Raises:
        ValueError: If an argument is out of its range, or `lora_rank` is
            given.

    Input and output shape: those of `keras.layers.Dense`; the batch axis of
    the output is twice as long in training with `paths="both"`.

    Example:

    >>> layer = keras_lbreg.DRegDense(4, paths="both")
    >>> layer(keras.ops.ones((8, 3)), training=True).shape
    (16, 4)
    >>> layer(keras.ops.ones((8, 3))).shape
    (8, 4)

    Reference:

    - [Yuan et al., 2020](https://arxiv.org/abs/2011.08968)
    """

    def apply_kernel(self, inputs, kernel):
        """The product of the inputs with one kernel, without the bias."""
        return ops.matmul(inputs, kernel)

    def compute_mask(self, inputs, previous_mask):
        if previous_mask is None or not self._stacked:
            return previous_mask
        return stack_paths(previous_mask, previous_mask)
