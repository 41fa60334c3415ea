"""Adam's arguments, and the momentum of an average, for a larger batch."""

import math

from keras_lbreg.checks import (
    check_fraction,
    check_positive_int,
    check_positive_number,
)


def scale_adam(
    base_lr, base_batch, batch, beta_1=0.9, beta_2=0.999, epsilon=1e-7
):
    """Scales the arguments of Adam from one batch size to another.

    With `k = batch / base_batch`, the square-root rule of adaptive optimizers
    is

    ```
    lr      = base_lr * sqrt(k)
    1 - b   = k * (1 - b)            for beta_1 and beta_2
    epsilon = epsilon / sqrt(k)
    ```

    It keeps the stochastic differential equation that Adam approximates where
    the noise of the gradient is larger than the gradient: the path covered
    and the noise met per sample stay the same. The averages then reach back
    over as many samples as before. Where `k * (1 - b)` is more than 1, the
    rule has no such decay, and `0` is taken, no average at all: the larger
    batch averages over more samples by itself.

    Args:
        base_lr: Positive float. The learning rate known to be good.
        base_batch: Positive int. The batch size it is good at.
        batch: Positive int. The batch size to train with.
        beta_1: Float in [0, 1), the decay of the gradient's average. Defaults
            to `0.9`.
        beta_2: Float in [0, 1), the decay of the squares' average. Defaults
            to `0.999`.
        epsilon: Positive float. Defaults to `1e-7`.

    Returns:
        A dictionary of `learning_rate`, `beta_1`, `beta_2` and `epsilon`.

    Raises:
        ValueError: A rate or a batch size is not positive, or a decay is not
            in [0, 1).

    Example:

    >>> keras.optimizers.AdamW(**keras_lbreg.scale_adam(1e-3, 128, 512))

    Reference:

    - [Malladi et al., 2022](https://arxiv.org/abs/2205.10287), Definition 5.1
    """
    check_positive_number("base_lr", base_lr)
    check_positive_number("epsilon", epsilon)
    k = ratio(base_batch, batch)
    return {
        "learning_rate": base_lr * math.sqrt(k),
        "beta_1": scale_decay("beta_1", beta_1, k),
        "beta_2": scale_decay("beta_2", beta_2, k),
        "epsilon": epsilon / math.sqrt(k),
    }


def scale_momentum(momentum, base_batch, batch):
    """Scales the momentum of a moving average to another batch size.

    With `k = batch / base_batch`, the average of weights (`ema_momentum`) or
    of the statistics of batch normalization reaches back over as many samples
    as before with

    ```
    momentum = momentum ** k
    ```

    Args:
        momentum: Float in [0, 1), the momentum known to be good.
        base_batch: Positive int. The batch size it is good at.
        batch: Positive int. The batch size to train with.

    Returns:
        The scaled momentum, a Python float.

    Raises:
        ValueError: The momentum is not in [0, 1), or a batch size is not
            positive.

    Example:

    >>> round(keras_lbreg.scale_momentum(0.999, 128, 1024), 4)
    0.992

    Reference:

    - [Busbridge et al., 2023](https://arxiv.org/abs/2307.13813), Definition 1.2
    """
    check_fraction("momentum", momentum)
    return float(momentum) ** ratio(base_batch, batch)


def ratio(base_batch, batch):
    """How many times larger the batch is."""
    check_positive_int("base_batch", base_batch)
    check_positive_int("batch", batch)
    return batch / base_batch


def scale_decay(name, decay, k):
    """`1 - k (1 - decay)`, at least 0."""
    check_fraction(name, decay)
    return max(0.0, 1 - k * (1 - float(decay)))
