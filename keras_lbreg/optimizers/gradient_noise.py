"""Annealed gradient noise."""

import keras
from keras import ops

from keras_lbreg.checks import check_non_negative_number
from keras_lbreg.optimizers.reduced_gradient import ReducedGradient
from keras_lbreg.random.counter_based import normal_keys, normals


@keras.saving.register_keras_serializable(package="keras_lbreg")
class GradientNoise(ReducedGradient):
    """Adds annealed Gaussian noise to the gradient of the whole batch.

    ```
    g <- g + N(0, sigma_t^2 I),    sigma_t^2 = alpha / (1 + t)^gamma
    ```

    with `t` the number of completed updates, 0 at the first one. Large batches
    have little gradient noise of their own; this one fades as training goes on.

    The noise comes after reduction and clipping, once for every update of the
    variables. It is a function of `(seed, t, position of the variable)`, so
    that every replica and every worker adds the same noise, with XLA or
    without, and a run that is loaded and continued goes on with the noise of
    the uninterrupted one. See `ReducedGradient` for the order of operations.

    Args:
        inner_optimizer: A `keras.optimizers.Optimizer`, or another gradient
            wrapper of this package.
        alpha: Float, at least 0. Variance of the first update's noise.
            Defaults to `1e-5`; Neelakantan et al. try 0.01, 0.3 and 1.
        gamma: Float, at least 0. Decay of the variance. Defaults to `0.55`.
        seed: Integer from 0 to 2**31 - 1, or None for a random one, which
            `keras.utils.set_random_seed` makes repeatable. It is among
            `variables`, so that a checkpoint restores it either way.
        name: String, the name of the wrapper.

    Raises:
        ValueError: If an argument is outside of its range.

    Example:

    >>> sgd = keras.optimizers.SGD(0.1, momentum=0.9)
    >>> model.compile(GradientNoise(sgd, alpha=1e-5), loss="mse")

    Reference:

    - [Neelakantan et al., 2015](https://arxiv.org/abs/1511.06807)
    """

    needs_dense_gradients = True

    def __init__(
        self, inner_optimizer, alpha=1e-5, gamma=0.55, seed=None, name=None
    ):
        super().__init__(inner_optimizer, name=name)
        check_non_negative_number("alpha", alpha)
        check_non_negative_number("gamma", gamma)
        # NumPy's scalars would turn float32 into float64.
        self.alpha = float(alpha)
        self.gamma = float(gamma)
        self.seed = seed if seed is None else int(seed)
        self._seed_variable = self.add_seed(seed)

    def stddev(self, step):
        """Standard deviation `sigma_t` of the noise after `step` updates."""
        t = ops.cast(step, "float32")
        return self.alpha**0.5 * ops.power(1.0 + t, -0.5 * self.gamma)

    def transform_reduced_gradients(self, gradients, indices, step):
        sigma = self.stddev(step)
        keys = normal_keys(self._seed_variable, step, indices)
        noises = normals([gradient.shape for gradient in gradients], keys)
        return [
            gradient + ops.cast(sigma * noise, gradient.dtype)
            for gradient, noise in zip(gradients, noises, strict=True)
        ]

    def get_config(self):
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "gamma": self.gamma,
            "seed": self.seed,
        }
