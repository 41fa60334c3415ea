"""The learning rate that goes with a larger batch."""

import math

from keras_lbreg.checks import (
    check_choice,
    check_positive_int,
    check_positive_number,
)


def scale_learning_rate(base_lr, base_batch, batch, rule="sqrt"):
    """Scales a learning rate from one batch size to another.

    With `k = batch / base_batch`, the rule is

    ```
    "sqrt"    lr = base_lr * sqrt(k)   (Hoffer et al. 2017)
    "linear"  lr = base_lr * k         (Goyal et al. 2017)
    ```

    The square root keeps the covariance of the weight update the same, the
    linear rule its expectation over the same number of samples. The linear
    rule wants a warm-up (`keras_lbreg.WarmUp`) beyond a few times the base
    batch.

    Args:
        base_lr: Positive float. The learning rate known to be good.
        base_batch: Positive int. The batch size it is good at.
        batch: Positive int. The batch size to train with.
        rule: `"sqrt"` or `"linear"`. Defaults to `"sqrt"`.

    Returns:
        The scaled learning rate, a Python float.

    Raises:
        ValueError: A rate or a batch size is not positive, or the rule is
            unknown.

    Example:

    >>> keras_lbreg.scale_learning_rate(0.1, 128, 2048)
    0.4
    >>> keras_lbreg.scale_learning_rate(0.1, 256, 8192, rule="linear")
    3.2

    Reference:

    - [Hoffer et al., 2017](https://arxiv.org/abs/1705.08741)
    - [Goyal et al., 2017](https://arxiv.org/abs/1706.02677)
    """
    check_positive_number("base_lr", base_lr)
    check_positive_int("base_batch", base_batch)
    check_positive_int("batch", batch)
    check_choice("rule", rule, ("sqrt", "linear"))
    ratio = batch / base_batch
    return float(base_lr * (math.sqrt(ratio) if rule == "sqrt" else ratio))
