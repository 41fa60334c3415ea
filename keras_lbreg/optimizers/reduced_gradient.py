"""The base of the gradient wrappers: one order of operations."""

import keras
from keras import ops

from keras_lbreg.checks import invalid
from keras_lbreg.optimizers import replicas, sparse_gradients
from keras_lbreg.random.counter_based import resolve_seed

# An optimizer with one of these of its own decides itself what happens to a
# gradient, which is what the wrapper decides here.
PIPELINE = (
    "apply",
    "apply_gradients",
    "stateless_apply",
    "_filter_empty_gradients",
    "_overwrite_variables_directly_with_gradients",
    "_backend_apply_gradients",
    "_all_reduce_sum_gradients",
    "_distributed_tf_update_step",
)


class _Inner:
    """An attribute that a wrapper shares with its inner optimizer."""

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, wrapper, owner=None):
        if wrapper is None:
            return self
        return getattr(wrapper.inner_optimizer, self.name)

    def __set__(self, wrapper, value):
        # Keras's constructor sets defaults before there is an inner optimizer.
        if hasattr(wrapper, "inner_optimizer"):
            setattr(wrapper.inner_optimizer, self.name, value)


@keras.saving.register_keras_serializable(package="keras_lbreg")
class ReducedGradient(keras.optimizers.Optimizer):
    """Wraps an optimizer so that it sees the gradient of the whole batch.

    A Keras optimizer clips each replica's gradient and sums them afterwards,
    so that the same global batch gives another update on two replicas than on
    one. This wrapper, and all that inherit from it, have one order:

    ```
    g_k  local gradient of replica k
    g_k <- transform_local_gradients(g_k)     GradientMix: times K w_k
    g   <- sum_k g_k                          the one all-reduce
    observe_gradients(g_k, g)                 SquaredGradients
    g   <- mean over micro-batches            gradient_accumulation_steps
    g   <- clip(g)                            clipnorm, clipvalue, ...
    g   <- transform_reduced_gradients(g)     GradientNoise: plus noise
    w   <- inner_optimizer.update_step(g, w)
    ```

    Wrappers may be nested in any order and give this one pipeline. The inner
    optimizer updates the variables, by its public `update_step`, and is not
    altered. Nothing is added to the communication.

    `learning_rate`, `iterations`, `loss_scale_factor`, clipping, weight decay
    and averaging are those of `inner_optimizer`, and can be set here as well as
    there. `variables` are the wrapper's own, then those of `inner_optimizer`.

    An inner optimizer with an `apply` of its own, as other packages' wrappers
    have, is refused (write it outside). One that prepares an update for all
    variables together (`Nadam`) does that with its equal share `g / K` of the
    gradient on each of K replicas, and sums the shares itself. With dynamic
    loss scaling, write `keras_lbreg.LossScaleOptimizer` outside; Keras's own is
    right on one replica only and refused on several.

    Two arguments of Keras's optimizers fail under `MirroredStrategy` and work
    in here, with any number of replicas: `gradient_accumulation_steps` and
    `ema_overwrite_frequency`. Mixing weights, clipping and noise are then once
    for an update, of the mean of its micro-batches. Each micro-batch is reduced
    as it comes: accumulation saves memory, not communication.

    Sparse gradients (`tf.IndexedSlices`, of embeddings) stay sparse through the
    all-reduce, and become dense where they are accumulated, clipped or get
    noise after it.

    Args:
        inner_optimizer: A `keras.optimizers.Optimizer`, its name or its
            configuration. It may be another wrapper of this package.
        name: String, the name of the wrapper.

    Raises:
        TypeError: If `inner_optimizer` applies gradients in a way of its own.
        ValueError: If `inner_optimizer` is no optimizer, a
            `LossScaleOptimizer` or `MultiOptimizer`, which belong outside, or
            contains a wrapper of this class already.

    Example:

    >>> sgd = keras.optimizers.SGD(0.1, global_clipnorm=1.0)
    >>> model.compile(ReducedGradient(sgd), loss="mse")

    Reference:

    - [Keras issue 20582](https://github.com/keras-team/keras/issues/20582)
    """

    needs_dense_gradients = False

    iterations = _Inner()
    learning_rate = _Inner()
    loss_scale_factor = _Inner()
    gradient_accumulation_steps = _Inner()
    weight_decay = _Inner()
    clipnorm = _Inner()
    global_clipnorm = _Inner()
    clipvalue = _Inner()
    use_ema = _Inner()
    ema_momentum = _Inner()
    ema_overwrite_frequency = _Inner()
    # State and steps of Keras's own methods, which run in the wrapper.
    _iterations = _Inner()
    _learning_rate = _Inner()
    _accumulated_gradients = _Inner()
    _model_variables_moving_average = _Inner()
    _trainable_variables = _Inner()
    _trainable_variables_indices = _Inner()
    _clip_gradients = _Inner()
    _apply_weight_decay = _Inner()
    _update_model_variables_moving_average = _Inner()
    _overwrite_model_variables_with_average_value = _Inner()

    def __init__(self, inner_optimizer, name=None):
        super().__init__(learning_rate=0.0, name=name)
        # A counter and a learning rate that nobody reads.
        self._unused = len(self._variables)
        self._scaled_by_keras = False
        inner_optimizer = keras.optimizers.get(inner_optimizer)
        _check_inner_optimizer(inner_optimizer, type(self))
        self.inner_optimizer = inner_optimizer

    def transform_local_gradients(self, gradients, step):
        """Changes a replica's gradients before they are summed.

        Args:
            gradients: List of tensors or `tf.IndexedSlices`.
            step: Number of completed updates.
        """
        return gradients

    def observe_gradients(self, local_gradients, reduced_gradients, variables):
        """Looks at the gradients before and after they are summed.

        Args:
            local_gradients: List of this replica's gradients, as they go into
                the sum: tensors or `tf.IndexedSlices`.
            reduced_gradients: List of the sums, before clipping.
            variables: List of their variables.
        """

    def transform_reduced_gradients(self, gradients, indices, step):
        """Changes the gradients of the whole batch, just before the update.

        It has to do the same on every replica.

        Args:
            gradients: List of tensors; of `tf.IndexedSlices` only if
                `needs_dense_gradients` is false.
            indices: List of integers, the variables' positions in the model.
            step: Number of completed updates.
        """
        return gradients

    def add_seed(self, seed):
        """Adds a variable that carries a seed, or a random one for None."""
        return self.add_variable(
            shape=(),
            initializer=keras.initializers.Constant(resolve_seed(seed)),
            dtype="int",
            aggregation="only_first_replica",
            name="seed",
        )

    def build(self, variables):
        if self.built:
            return
        self._check_loss_scaling(replicas.replicas_of_strategy())
        self.inner_optimizer.build(variables)
        self.built = True

    @property
    def variables(self):
        return self._variables[self._unused :] + self.inner_optimizer.variables

    def set_weights(self, weights):
        set_all_weights(self, weights)

    def __setattr__(self, name, value):
        if name == "loss_scale_factor" and hasattr(self, "inner_optimizer"):
            # Keras's `LossScaleOptimizer` sets None in what it wraps, and so
            # does a `MultiOptimizer` that is not given a factor.
            self._scaled_by_keras = value is None
        super().__setattr__(name, value)

    def scale_loss(self, loss):
        return self.inner_optimizer.scale_loss(loss)

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        self.inner_optimizer.exclude_from_weight_decay(var_list, var_names)

    def finalize_variable_values(self, var_list):
        self.inner_optimizer.finalize_variable_values(var_list)

    def update_step(self, gradient, variable, learning_rate):
        self.inner_optimizer.update_step(gradient, variable, learning_rate)

    def get_config(self):
        return {
            "name": self.name,
            "inner_optimizer": keras.saving.serialize_keras_object(
                self.inner_optimizer
            ),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        inner_optimizer = keras.saving.deserialize_keras_object(
            config.pop("inner_optimizer"), custom_objects=custom_objects
        )
        return cls(inner_optimizer, **config)

    # From here on: steps of Keras's `apply`, in its order.

    @replicas.without_autograph
    def _backend_apply_gradients(self, grads, trainable_variables):
        grads = self._reduce(grads, trainable_variables)
        decides = (
            self.gradient_accumulation_steps or self.ema_overwrite_frequency
        )
        if decides and replicas.under_strategy():
            self._apply_on_all_replicas(grads, trainable_variables)
        else:
            super()._backend_apply_gradients(grads, trainable_variables)

    def _reduce(self, gradients, variables):
        """Local transformations and the sum over all replicas."""
        wrappers = chain_of(self)[:-1]
        for wrapper in wrappers:
            gradients = wrapper.transform_local_gradients(
                gradients, self.iterations
            )
        local_gradients = gradients
        count = replicas.replica_count()
        self._check_loss_scaling(count)
        if count > 1:
            pairs = super()._all_reduce_sum_gradients(
                list(zip(gradients, variables, strict=True))
            )
            gradients = [gradient for gradient, _ in pairs]
        for wrapper in wrappers:
            wrapper.observe_gradients(local_gradients, gradients, variables)
        if (
            self.gradient_accumulation_steps
            or self.clipnorm
            or self.global_clipnorm
            or self.clipvalue
            or any(wrapper.needs_dense_gradients for wrapper in wrappers)
        ):
            gradients = [
                sparse_gradients.densify(gradient, variable.shape)
                for gradient, variable in zip(gradients, variables, strict=True)
            ]
        return gradients

    def _check_loss_scaling(self, replica_count):
        if self._scaled_by_keras and replica_count > 1:
            raise ValueError(
                "`keras.optimizers.LossScaleOptimizer`, which `compile` adds "
                "under `mixed_float16`, checks the gradients of the first "
                "replica only, before they are summed: write `model.compile("
                "keras_lbreg.LossScaleOptimizer(optimizer), ...)`, which "
                "checks those of all replicas. (A `MultiOptimizer` around "
                "wrappers looks like it from inside: give it "
                "`loss_scale_factor=1.0`.)"
            )

    def _all_reduce_sum_gradients(self, grads_and_vars):
        # `_reduce` has summed them.
        return list(grads_and_vars)

    def _apply_on_all_replicas(self, gradients, variables):
        """What `super()._backend_apply_gradients` does, in a strategy.

        Keras decides in each replica whether a micro-batch is the last one of
        its update, and whether the averages replace the variables. TensorFlow
        refuses that, as replicas cannot meet inside of a condition of their
        own (Keras issue 20582). Here they decide together.
        """
        steps = self.gradient_accumulation_steps

        def update(gradients):
            gradients = self._clip_gradients(gradients)
            self._apply_weight_decay(variables)
            self._backend_update_step(gradients, variables, self.learning_rate)

        if steps:
            sums = [
                self._accumulated_gradients[self._get_variable_index(variable)]
                for variable in variables
            ]

            def is_last(gradients):
                return (self._iterations + 1) % steps == 0

            def update_with_mean(gradients):
                pairs = zip(gradients, sums, strict=True)
                update([(g + s) / steps for g, s in pairs])
                self._backend_reset_gradient_accumulators()

            def add(gradients):
                for gradient, total in zip(gradients, sums, strict=True):
                    total.assign(gradient + total)

            replicas.cond_on_all_replicas(
                is_last, update_with_mean, add, gradients
            )
        else:
            update(gradients)
        if not self.use_ema:
            return
        self._update_model_variables_moving_average(self._trainable_variables)
        if self.ema_overwrite_frequency:
            every = self.ema_overwrite_frequency
            replicas.call_for_all_replicas(
                lambda: ops.cond(
                    (self.iterations + 1) % every == 0,
                    lambda: self._overwrite_model_variables_with_average_value(
                        self._trainable_variables
                    ),
                    lambda: None,
                )
            )

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        *wrappers, optimizer = chain_of(self)
        indices = [self._get_variable_index(v) for v in trainable_variables]
        for wrapper in wrappers:
            grads = wrapper.transform_reduced_gradients(
                grads, indices, self.iterations
            )
        if not _has_own(optimizer, "_backend_update_step"):
            super()._backend_update_step(
                grads, trainable_variables, learning_rate
            )
            return
        count = replicas.replica_count()
        if count > 1:
            grads = [sparse_gradients.scale(g, 1 / count) for g in grads]
        optimizer._backend_update_step(
            grads, trainable_variables, learning_rate
        )


def chain_of(optimizer):
    """A list of an optimizer, the one it wraps, the one that wraps, ..."""
    chain = [optimizer]
    while isinstance(chain[-1], ReducedGradient):
        chain.append(chain[-1].inner_optimizer)
    return chain


def set_all_weights(optimizer, weights):
    """`set_weights` of an optimizer that has those of an inner one, too."""
    variables = optimizer.variables
    if not optimizer.built:
        raise ValueError(
            "You are calling `set_weights()` on an optimizer that has not yet "
            "been built. Please call `optimizer.build(trainable_variables)` "
            "before."
        )
    shapes = [tuple(variable.shape) for variable in variables]
    received = [tuple(weight.shape) for weight in weights]
    if shapes != received:
        raise ValueError(
            "Invalid value for argument `weights`. Expected the arrays of "
            f"`optimizer.variables`, of shapes {shapes}. Received: arrays of "
            f"shapes {received}"
        )
    for variable, weight in zip(variables, weights, strict=True):
        variable.assign(weight)


def _has_own(optimizer, method):
    """Whether an optimizer, or its class, has replaced a method of Keras."""
    base = keras.optimizers.Optimizer
    if isinstance(optimizer, ReducedGradient):
        base = ReducedGradient
    inherited = getattr(base, method, None)
    return (
        method in vars(optimizer)
        or getattr(type(optimizer), method, None) is not inherited
    )


def _check_inner_optimizer(optimizer, wrapper_class):
    wrapper = wrapper_class.__name__
    outer_classes = (
        keras.optimizers.LossScaleOptimizer,
        keras.optimizers.MultiOptimizer,
    )
    if isinstance(optimizer, outer_classes):
        raise invalid(
            "inner_optimizer",
            "an optimizer that updates variables itself: write "
            f"`{type(optimizer).__name__}` outside, around `{wrapper}`",
            optimizer,
        )
    for member in chain_of(optimizer):
        if type(member) is wrapper_class:
            raise invalid(
                "inner_optimizer",
                f"an optimizer without `{wrapper}` inside: wrap it once",
                optimizer,
            )
        own = [method for method in PIPELINE if _has_own(member, method)]
        if own:
            inner = type(member).__name__
            raise TypeError(
                "Invalid value for argument `inner_optimizer`. Expected an "
                "optimizer that updates its variables by `update_step` alone, "
                f"as `{wrapper}` reduces, clips and accumulates the gradients "
                f"for it. `{inner}` has `{own[0]}` of its own, which would be "
                f"bypassed: write `{inner}` outside, around `{wrapper}`. "
                f"Received: inner_optimizer={optimizer}"
            )
