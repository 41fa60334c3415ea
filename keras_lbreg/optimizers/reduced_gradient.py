"""The base of the gradient wrappers: one order of operations."""

import functools

import keras

from keras_lbreg.optimizers import keras_hooks, replicas, sparse_gradients
from keras_lbreg.optimizers.optimizer_wrapper import OptimizerWrapper, chain_of


@keras.saving.register_keras_serializable(package="keras_lbreg")
class ReducedGradient(OptimizerWrapper):
    """Wraps an optimizer so that it sees the gradient of the whole batch.

    A Keras optimizer clips each replica's gradient and sums them afterwards,
    so that the same global batch gives another update on two replicas than on
    one. This wrapper, and all that inherit from it, have one order:

    ```
    g_k  local gradient of replica k
    g_k <- transform_local_gradients(g_k)     GradientMix: times K w_k
    g   <- sum_k g_k                          the one all-reduce
    observe_gradients(g_k, g)                 SquaredGradients
    skip the update if g is not finite        only under LossScaleOptimizer
    g   <- mean over micro-batches            gradient_accumulation_steps
    g   <- clip(g)                            clipnorm, clipvalue, ...
    g   <- transform_reduced_gradients(g)     GradientNoise: plus noise
    w   <- inner_optimizer(w, g)
    ```

    Wrappers may be nested in any order and give this one pipeline. Nothing is
    added to the communication: the inner optimizer's own all-reduce is moved.

    Under `mixed_float16`, `compile` puts a `LossScaleOptimizer` outside. It
    looks at the first replica's gradients before the reduction, on each worker;
    here the reduced gradient is checked in its place, so that an infinite
    gradient on any replica skips the update on all of them and halves the
    scale.

    `learning_rate`, `iterations`, `loss_scale_factor`, clipping, weight decay
    and averaging are those of `inner_optimizer`; `variables` are the wrapper's
    own, then those of `inner_optimizer`.

    Two arguments of Keras's optimizers fail under `MirroredStrategy` and work
    in here, with any number of replicas: `gradient_accumulation_steps` and
    `ema_overwrite_frequency`. Mixing weights, clipping and noise are then once
    for an update, of the mean of its micro-batches; `step` below and in
    `iterations` counts completed updates. Each micro-batch is reduced as it
    comes: the sums are equal on all replicas and a checkpoint in the middle of
    an update carries them. Accumulation saves memory, not communication.

    Sparse gradients (`tf.IndexedSlices`, of embeddings) stay sparse through the
    all-reduce, and become dense where they are accumulated, clipped or get
    noise after it.

    Args:
        inner_optimizer: A `keras.optimizers.Optimizer`, its name or its
            configuration. It may be another wrapper. `LossScaleOptimizer` and
            `MultiOptimizer` are refused: they belong outside.
        name: String, the name of the wrapper.

    Raises:
        ValueError: If `inner_optimizer` is refused, or contains a wrapper of
            this class already.

    Example:

    >>> sgd = keras.optimizers.SGD(0.1, global_clipnorm=1.0)
    >>> model.compile(ReducedGradient(sgd), loss="mse")

    Reference:

    - [Keras issue 20582](https://github.com/keras-team/keras/issues/20582)
    """

    needs_dense_gradients = False

    def __init__(self, inner_optimizer, name=None):
        super().__init__(inner_optimizer, name=name)
        keras_hooks.hook_update(chain_of(self)[-1])

    def build(self, variables):
        keras_hooks.check_only_reduced_gradients()
        super().build(variables)

    def transform_local_gradients(self, gradients, step):
        """Changes a replica's gradients before they are summed.

        Args:
            gradients: List of tensors or `tf.IndexedSlices`.
            step: Number of completed updates.

        Returns:
            List of gradients.
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

        Returns:
            List of gradients.
        """
        return gradients

    @replicas.without_autograph
    def apply(self, grads, trainable_variables=None):
        grads = list(grads)
        variables = self._resolve_variables(trainable_variables)
        *wrappers, optimizer = chain_of(self)

        # Variables that are overwritten with their gradient have no part in
        # the sum, as in Keras.
        reducible = [
            i
            for i, (gradient, variable) in enumerate(
                zip(grads, variables, strict=True)
            )
            if gradient is not None
            and not keras_hooks.overwrites_with_gradient(variable)
        ]
        # Its own name scope, as every Keras optimizer's.
        with keras.name_scope(self.name, caller=self):
            reduced = _reduce(
                wrappers,
                optimizer,
                [grads[i] for i in reducible],
                [variables[i] for i in reducible],
            )
        for i, gradient in zip(reducible, reduced, strict=True):
            grads[i] = gradient

        present = [
            i for i, gradient in enumerate(grads) if gradient is not None
        ]

        def update(tensors):
            gradients = [None] * len(variables)
            for i, gradient in zip(present, tensors, strict=True):
                gradients[i] = gradient
            finish = functools.partial(_finish, wrappers, optimizer)
            with keras_hooks.reduced_gradients(optimizer, finish):
                optimizer.apply(gradients, variables)

        tensors = [grads[i] for i in present]
        outside = keras_hooks.enclosing_loss_scale_optimizer()
        if outside is None or replicas.replica_count() == 1 or not reducible:
            update(tensors)
            return
        replicas.cond_on_all_replicas(
            sparse_gradients.all_finite,
            update,
            lambda _: keras_hooks.count_as_non_finite(outside),
            tensors,
        )

    def _resolve_variables(self, trainable_variables):
        if trainable_variables is None:
            if not self.built:
                raise ValueError(
                    "Invalid value for argument `trainable_variables`. "
                    "Expected a list of variables, since the optimizer is not "
                    "built: pass them, or call `optimizer.build(variables)` "
                    "before. Received: trainable_variables=None"
                )
            return list(self._trainable_variables)
        variables = list(trainable_variables)
        if not self.built:
            with keras.name_scope(self.name, caller=self):
                self.build(variables)
        return variables


def _reduce(wrappers, optimizer, gradients, variables):
    """Local transformations and the sum over all replicas."""
    if not gradients:
        return gradients
    for wrapper in wrappers:
        gradients = wrapper.transform_local_gradients(
            gradients, optimizer.iterations
        )
    local_gradients = gradients
    if replicas.replica_count() > 1:
        gradients = keras_hooks.all_reduce_sum(optimizer, gradients, variables)
    for wrapper in wrappers:
        wrapper.observe_gradients(local_gradients, gradients, variables)
    accumulates_or_clips = (
        optimizer.gradient_accumulation_steps
        or optimizer.clipnorm
        or optimizer.global_clipnorm
        or optimizer.clipvalue
    )
    if accumulates_or_clips or any(
        wrapper.needs_dense_gradients for wrapper in wrappers
    ):
        gradients = [
            sparse_gradients.densify(gradient, variable.shape)
            for gradient, variable in zip(gradients, variables, strict=True)
        ]
    return gradients


def _finish(wrappers, optimizer, gradients, variables):
    """What comes between clipping and the update of the variables."""
    indices = keras_hooks.variable_indices(optimizer, variables)
    for wrapper in wrappers:
        gradients = wrapper.transform_reduced_gradients(
            gradients, indices, optimizer.iterations
        )
    return gradients
