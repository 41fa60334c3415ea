"""The learning rate of Jaiswal and Taura, in its two readings."""

from keras_lbreg.schedules import Regime

BASE_BATCH = 32
BASE_RATE = 0.01

# The paper does not say when training ends. This is one period of ten epochs
# after the last drop that it names or implies by "following".
EPOCHS = 70

# "Decays by 10 %" is either of these.
DECAYS = {"x01": 0.1, "x09": 0.9}


def regime(decay, epochs=EPOCHS):
    """The small batch's regime: drops at epoch 25, 40, 50, 60, ...

    ```
    eta(e) = .01 decay^(number of drops up to epoch e)
    ```

    Args:
        decay: What each drop multiplies the learning rate by, 0.1 or 0.9.
        epochs: Length of the run; drops follow every ten epochs until then.

    Returns:
        A `Regime`.

    Example:

    >>> regime(0.1).milestones[0]
    (25, 0.001)

    Reference: FACTS of the paper in this folder's README.
    """
    return Regime.with_step_decay(
        BASE_BATCH, BASE_RATE, epochs, decay, at=(25, 40), then_every=10
    )


def milestones(decay, epochs=EPOCHS):
    """The same as `Recipe.milestones`: fractions of the run, and factors.

    Args:
        decay: See `regime`.
        epochs: See `regime`.

    Example:

    >>> milestones(0.1)[0]
    (0.35714285714285715, 0.1)
    """
    return tuple(
        (epoch / epochs, rate / BASE_RATE)
        for epoch, rate in regime(decay, epochs).milestones
    )
