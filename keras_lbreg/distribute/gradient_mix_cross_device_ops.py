"""GradientMix at the level of the cross-device reduction."""

import logging
import re
import warnings
import weakref

import keras

from keras_lbreg.checks import check_non_negative_int, check_positive_number
from keras_lbreg.optimizers import sparse_gradients
from keras_lbreg.random.counter_based import resolve_seed
from keras_lbreg.random.mixing_weights import mixing_weights
from keras_lbreg.warnings import NoEffectWarning

logger = logging.getLogger("keras_lbreg")

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    from keras_lbreg.distribute import tensorflow_hooks

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
    replica's gradient by `K w_k` before `inner` sums them. One draw for each
    reduction of gradients, shared by all variables.

    What is a gradient. Everything that replicas exchange goes through this
    object, metrics and moving statistics too. Mixed is a batch of sums of
    floating-point values, not all of them scalars, that is reduced in the
    TensorFlow name scope of a Keras optimizer; a component of the scope has to
    be the optimizer's class, as its default name is: `"adam"`, `"my_sgd_1"` for
    a class `MySGD`. Not mixed, with a warning where several values are summed
    at once, are gradients that a custom loop reduces itself, those of an
    optimizer with a `name` of another kind, and all with `run_eagerly=True`.

    Under XLA on GPUs alone (`jit_compile=True`), TensorFlow replaces custom
    cross-device operations by its own: use `GradientMix` there. After a first
    step, `step` is 1 where the gradients were mixed, and the logger
    `"keras_lbreg"` has said so, at level INFO; an object that is never asked
    cannot know of steps, keeps `step` 0 and logs a warning when it is deleted.

    An optimizer that clips, with `clipnorm`, `global_clipnorm` or `clipvalue`,
    would clip the unmixed gradient of one replica. It is refused; wrap it in a
    `ReducedGradient`, which clips the mixed gradient.

    Steps. The weights are a function of `(seed, step)`, and `step`, a
    `tf.Variable`, counts the reductions of gradients. In a run that is loaded,
    continue with `ops.step.assign(model.optimizer.iterations)`.

    Args:
        inner: The `tf.distribute.CrossDeviceOps` that communicates. Defaults to
            `NcclAllReduce` where there are several GPUs, else to
            `ReductionToOneDevice`.
        concentration: Positive float `c` of the Dirichlet law. Defaults to
            `1.0`, uniform on the simplex.
        seed: Integer from 0 to 2**31 - 1, or None for a random one, which
            `keras.utils.set_random_seed` makes repeatable and no checkpoint
            carries. Defaults to `None`.
        initial_step: Non-negative integer, the step of the first reduction.
            Defaults to `0`.

    Raises:
        RuntimeError: If the Keras backend is not TensorFlow.
        ValueError: If an argument is outside of its range. In the first step:
            if the optimizer changes gradients before they are reduced.

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
        self, inner=None, concentration=1.0, seed=None, initial_step=0
    ):
        backend = keras.backend.backend()
        if backend != "tensorflow":
            raise RuntimeError(
                "`GradientMixCrossDeviceOps` is a part of `tf.distribute` and "
                "needs the TensorFlow backend; elsewhere use "
                f"`mix_sample_weights`. Received: backend={backend}"
            )
        super().__init__()
        check_positive_number("concentration", concentration)
        check_non_negative_int("initial_step", initial_step)
        self.inner = _default_inner() if inner is None else inner
        self.concentration = float(concentration)
        self.seed = seed
        self.step = tf.Variable(
            initial_step, trainable=False, dtype="int64", name="step"
        )
        self._resolved_seed = resolve_seed(seed)
        self._has_warned = False
        self._seen = {"gradients": False}
        weakref.finalize(self, _warn_if_never_asked, self._seen)

    def __repr__(self):
        return (
            f"{type(self).__name__}(concentration={self.concentration}, "
            f"seed={self.seed})"
        )

    def batch_reduce_implementation(
        self, reduce_op, value_destination_pairs, options
    ):
        values = [value.values for value, _ in value_destination_pairs]
        if _may_be_gradients(reduce_op, values):
            scope = _scope_of_optimizer()
            if scope is not None:
                _check_unchanged([value[0] for value in values], scope)
                self._say_once(len(values[0]))
                value_destination_pairs = self._mix(value_destination_pairs)
            elif len(values) > 1:
                self._warn_once(len(values))
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

    def _gather_implementation(
        self, per_replica_value, destinations, axis, options
    ):
        return tensorflow_hooks.gather(
            self.inner, per_replica_value, destinations, axis, options
        )

    def _mix(self, pairs):
        groups = len(pairs[0][0].values)
        step = self.step.read_value()
        self.step.assign_add(1)
        weights = mixing_weights(
            self._resolved_seed, step, groups, concentration=self.concentration
        )
        factors = tf.unstack(groups * weights, num=groups)
        mixed_pairs = []
        for value, to in pairs:
            mixed = []
            for gradient, factor in zip(value.values, factors, strict=True):
                with tf.device(gradient.device):
                    mixed.append(sparse_gradients.scale(gradient, factor))
            mixed = type(value)(mixed)
            mixed_pairs.append((mixed, mixed if to is value else to))
        return mixed_pairs

    def _say_once(self, replicas):
        if not self._seen["gradients"]:
            logger.info(
                "`GradientMixCrossDeviceOps` mixes the gradients of %d "
                "replicas",
                replicas,
            )
        self._seen["gradients"] = True

    def _warn_once(self, count):
        if self._has_warned:
            return
        self._has_warned = True
        where = "eagerly"
        if not tf.executing_eagerly():
            where = f"in the name scope {tf.get_current_name_scope()!r}"
        warnings.warn(
            f"`GradientMixCrossDeviceOps` has left a sum of {count} values as "
            f"it is, which were reduced {where}. Expected, if they are "
            "gradients, a Keras optimizer with its default name to reduce "
            "them, in a `tf.function` as in `fit`; or use `GradientMix`.",
            NoEffectWarning,
            stacklevel=2,
        )


def _may_be_gradients(reduce_op, values):
    """Whether they are sums of floating-point values, not scalars alone."""
    return (
        reduce_op == tf.distribute.ReduceOp.SUM
        and all(value[0].dtype.is_floating for value in values)
        and any(value[0].shape.rank != 0 for value in values)
    )


def _scope_of_optimizer():
    """The name scope in which an optimizer is applied, or None."""
    names = {c.__name__.lower().replace("_", "") for c in _classes()}
    components = tf.get_current_name_scope().split("/")
    for end in range(len(components), 0, -1):
        # Keras writes "rm_sprop", TensorFlow "rm_sprop_1" the second time.
        name = re.sub(r"_\d+$", "", components[end - 1]).replace("_", "")
        if name.lower() in names:
            return "/".join(components[:end])
    return None


def _classes(parent=keras.optimizers.Optimizer):
    """All classes of optimizers that there are."""
    for child in parent.__subclasses__():
        yield child
        yield from _classes(child)


def _check_unchanged(gradients, scope):
    """Raises if replica 0's gradients come from inside of the scope."""
    for gradient in gradients:
        if gradient.op.name.startswith(f"{scope}/"):
            raise ValueError(
                f"The optimizer {scope.rpartition('/')[2]!r} changes each "
                "replica's gradient before `GradientMixCrossDeviceOps` can mix "
                f"them (by {gradient.op.name!r}). Expected an optimizer "
                "without `clipnorm`, `global_clipnorm`, `clipvalue` and "
                "`loss_scale_factor`, in no `GradientMix`. To clip the mixed "
                "gradient, wrap the optimizer: "
                "`keras_lbreg.optimizers.ReducedGradient(optimizer)`."
            )


def _warn_if_never_asked(seen):
    if not seen["gradients"]:
        logger.warning(
            "`GradientMixCrossDeviceOps` was never asked to reduce gradients, "
            "and nothing was mixed: no model was trained with it on several "
            "replicas, or XLA compiled the steps for GPUs (`jit_compile=True`),"
            " where TensorFlow uses operations of its own. Use `GradientMix` "
            "there."
        )


def _default_inner():
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.NcclAllReduce()
    return tf.distribute.ReductionToOneDevice()
