"""GradientMix at the level of the cross-device reduction."""

import keras

from keras_lbreg.distribute import tensorflow_hooks
from keras_lbreg.optimizers import keras_hooks, sparse_gradients
from keras_lbreg.optimizers.gradient_mix import GradientMix
from keras_lbreg.optimizers.reduced_gradient import ReducedGradient, chain_of
from keras_lbreg.random.counter_based import resolve_seed
from keras_lbreg.random.mixing_weights import check_mixing_law, mixing_weights

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    CrossDeviceOps = tf.distribute.CrossDeviceOps
else:
    # The name can be imported on every backend; only the constructor complains.
    CrossDeviceOps = object


class GradientMixCrossDeviceOps(CrossDeviceOps):
    """Mixes the gradients of K replicas inside of their reduction.

    ```
    g = sum_k w_k g_k,    w ~ Dirichlet(c, ..., c),    E[w_k] = 1 / K
    ```

    The same as `GradientMix`, for a plain Keras optimizer: it goes to
    `tf.distribute.MirroredStrategy(cross_device_ops=...)` and multiplies each
    replica's gradient by `K w_k` before `inner` sums them.

    What an optimizer does to a gradient before its all-reduce, it does here to
    the unmixed gradient of one replica. A `ReducedGradient` around it moves the
    all-reduce to the front:

    - `clipnorm`, `global_clipnorm` and `clipvalue` need one: clipped gradients,
      mixed, are not a mixed gradient, clipped. Without it they are refused.
    - `LossScaleOptimizer`, which `compile` adds under `mixed_float16`, looks at
      replica 0's gradients alone: an infinite one of another replica spoils the
      variables, without a warning. `ReducedGradient` looks at the sum.

    Batch statistics, metrics, losses and variables travel through the same
    object and are left alone. What is a gradient is not guessed from shapes: it
    is what a Keras optimizer's own all-reduce is waiting for. Gradients that a
    custom loop reduces itself, with `ReplicaContext.all_reduce`, are therefore
    *not* mixed. The weights belong to that optimizer's number of completed
    updates: one draw for each update, shared by all variables, continued by a
    run that is loaded, provided that `seed` is given.

    Under XLA on GPUs alone (`jit_compile=True`), TensorFlow replaces custom
    cross-device operations silently by its own; this class raises instead. Use
    `GradientMix` there.

    Args:
        inner: The `tf.distribute.CrossDeviceOps` that communicates. Defaults to
            `NcclAllReduce` where there are several GPUs, else to
            `ReductionToOneDevice`.
        concentration: Positive float `c` of the Dirichlet law. Defaults to
            `1.0`, uniform on the simplex.
        seed: Integer from 0 to 2**31 - 1, or None for a random one, which
            `keras.utils.set_random_seed` makes repeatable and no checkpoint
            carries.
        law: `"dirichlet"`, or `"gaussian"` for independent, non-convex weights
            `K w_k ~ N(1, stddev^2)`. Defaults to `"dirichlet"`.
        stddev: Non-negative float, used by the Gaussian law alone. Defaults to
            `1.0`.

    Raises:
        RuntimeError: If the Keras backend is not TensorFlow; or, at the first
            step, if TensorFlow is about to ignore this object.
        ValueError: If an argument is outside of its range. At the first step:
            if the optimizer is in a `GradientMix`, which would mix twice, or
            if it clips and is in no `ReducedGradient`.

    Example:

    >>> strategy = tf.distribute.MirroredStrategy(
    ...     cross_device_ops=GradientMixCrossDeviceOps(seed=1)
    ... )
    >>> with strategy.scope():
    ...     model = make_model()
    ...     model.compile("sgd", loss="mse")

    Reference:

    - GradientMix, submission to ICLR 2023
    """

    def __init__(
        self,
        inner=None,
        concentration=1.0,
        seed=None,
        law="dirichlet",
        stddev=1.0,
    ):
        backend = keras.backend.backend()
        if backend != "tensorflow":
            raise RuntimeError(
                "`GradientMixCrossDeviceOps` is a part of `tf.distribute` and "
                "needs the TensorFlow backend; elsewhere use "
                f"`mix_sample_weights`. Received: backend={backend}"
            )
        super().__init__()
        check_mixing_law(law, concentration, stddev)
        self.inner = _default_inner() if inner is None else inner
        self.concentration = concentration
        self.seed = seed
        self.law = law
        self.stddev = stddev
        self._resolved_seed = resolve_seed(seed)

    def batch_reduce_implementation(
        self, reduce_op, value_destination_pairs, options
    ):
        optimizer = self._reducing_optimizer()
        if optimizer is not None:
            value_destination_pairs = self._mix(
                value_destination_pairs, optimizer.iterations
            )
        return self.inner.batch_reduce(
            reduce_op, value_destination_pairs, options
        )

    def reduce_implementation(
        self, reduce_op, per_replica_value, destinations, options
    ):
        return self.inner.reduce(
            reduce_op, per_replica_value, destinations, options
        )

    def broadcast_implementation(self, tensor, destinations):
        return self.inner.broadcast(tensor, destinations)

    @property
    def __class__(self):
        # `isinstance` asks for it where the type alone does not decide: the
        # only trace that TensorFlow leaves before it ignores this object.
        tensorflow_hooks.raise_if_about_to_be_ignored(self)
        return type(self)

    def _reducing_optimizer(self):
        """The optimizer whose gradients are being reduced, if any are."""
        for frame in tensorflow_hooks.frames_of_waiting_replicas(self):
            optimizer = keras_hooks.reducing_optimizer(frame)
            if optimizer is not None:
                wrapper = keras_hooks.self_of_caller(
                    ReducedGradient.apply, frame
                )
                if wrapper is None:
                    _check_clips_nothing(optimizer)
                else:
                    _check_mixed_once(wrapper)
                return optimizer
        return None

    def _mix(self, value_destination_pairs, step):
        groups = len(value_destination_pairs[0][0].values)
        weights = mixing_weights(
            self._resolved_seed,
            step,
            groups,
            law=self.law,
            concentration=self.concentration,
            stddev=self.stddev,
        )
        factors = tf.unstack(groups * weights, num=groups)
        mixed_pairs = []
        for per_replica, destinations in value_destination_pairs:
            mixed = []
            for gradient, factor in zip(
                per_replica.values, factors, strict=True
            ):
                with tf.device(gradient.device):
                    mixed.append(sparse_gradients.scale(gradient, factor))
            mixed = type(per_replica)(mixed)
            if destinations is per_replica:
                destinations = mixed
            mixed_pairs.append((mixed, destinations))
        return mixed_pairs


def _default_inner():
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.NcclAllReduce()
    return tf.distribute.ReductionToOneDevice()


def _check_mixed_once(wrapper):
    if any(isinstance(member, GradientMix) for member in chain_of(wrapper)):
        raise ValueError(
            "The gradients would be mixed twice. Expected either "
            "`GradientMix` around the optimizer or `GradientMixCrossDeviceOps` "
            f"in the strategy, not both. Received: optimizer={wrapper}"
        )


def _check_clips_nothing(optimizer):
    for argument in ("clipnorm", "global_clipnorm", "clipvalue"):
        value = getattr(optimizer, argument)
        if value:
            raise ValueError(
                f"Invalid value for argument `{argument}` of an optimizer "
                "under `GradientMixCrossDeviceOps`. Expected None, as Keras "
                "clips each replica's gradient before they are mixed. To clip "
                "the mixed gradient, wrap the optimizer: "
                "`keras_lbreg.optimizers.ReducedGradient(optimizer)`. "
                f"Received: {argument}={value}"
            )
