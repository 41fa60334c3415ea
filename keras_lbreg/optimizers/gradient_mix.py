"""Random weights instead of 1/K in the mean of K replicas' gradients."""

import warnings

import keras

from keras_lbreg.checks import check_positive_number
from keras_lbreg.optimizers import replicas, sparse_gradients
from keras_lbreg.optimizers.reduced_gradient import ReducedGradient
from keras_lbreg.random.mixing_weights import mixing_weights
from keras_lbreg.warnings import NoEffectWarning

NOTHING_TO_MIX = (
    "`GradientMix` has no effect on one replica: there is nothing to mix. On "
    "one device, and under JAX, weight the samples of K groups instead: "
    "`keras_lbreg.mix_sample_weights(dataset, groups=K)`."
)


@keras.saving.register_keras_serializable(package="keras_lbreg")
class GradientMix(ReducedGradient):
    """Mixes the gradients of K replicas with random weights.

    ```
    g = sum_k w_k g_k,    w ~ Dirichlet(c, ..., c),    E[w_k] = 1 / K
    ```

    in place of the mean, one draw for each update, shared by all variables.
    Each replica multiplies its gradient by `K w_k` before the all-reduce, so
    that nothing is added to the communication. The mixed gradient is that of a
    batch with less samples, `B (K c + 1) / (K (c + 1))` of `B`, at the price of
    the full one in time and memory: it brings back gradient noise. `c -> inf`
    is plain averaging, `c -> 0` is one random replica.

    The weights are a function of `(seed, completed updates)`;
    `mix_sample_weights` and `GradientMixCrossDeviceOps` draw the same ones. See
    `ReducedGradient` for the order of operations.

    With one replica, and under JAX, where replicas do not exist, there is
    nothing to mix: it warns once. Use `mix_sample_weights` there.

    The paper's mixing law is not public; this one is ours.

    Args:
        inner_optimizer: A `keras.optimizers.Optimizer`, or another gradient
            wrapper of this package.
        concentration: Positive float `c` of the Dirichlet law. Defaults to
            `1.0`, uniform on the simplex.
        seed: Integer from 0 to 2**31 - 1, or None for a random one, which
            `keras.utils.set_random_seed` makes repeatable. It is among
            `variables`, so that a checkpoint restores it either way.
        name: String, the name of the wrapper.

    Raises:
        ValueError: If an argument is outside of its range.

    Example:

    >>> with tf.distribute.MirroredStrategy().scope():
    ...     model = make_model()
    ...     sgd = keras.optimizers.SGD(0.1, momentum=0.9)
    ...     model.compile(GradientMix(sgd, concentration=0.5), loss="mse")

    Reference:

    - GradientMix, submission to ICLR 2023
    """

    def __init__(
        self, inner_optimizer, concentration=1.0, seed=None, name=None
    ):
        super().__init__(inner_optimizer, name=name)
        check_positive_number("concentration", concentration)
        self.concentration = float(concentration)
        self.seed = seed if seed is None else int(seed)
        self._seed_variable = self.add_seed(seed)
        self._has_warned = False

    def transform_local_gradients(self, gradients, step):
        groups = replicas.replica_count()
        if groups == 1:
            if not self._has_warned:
                self._has_warned = True
                warnings.warn(NOTHING_TO_MIX, NoEffectWarning, stacklevel=2)
            return gradients
        weights = mixing_weights(
            self._seed_variable, step, groups, concentration=self.concentration
        )
        factor = groups * keras.ops.take(weights, replicas.replica_index())
        return [sparse_gradients.scale(g, factor) for g in gradients]

    def get_config(self):
        return {
            **super().get_config(),
            "concentration": self.concentration,
            "seed": self.seed,
        }
