"""Private parts of Keras's optimizers that the gradient wrappers rely on.

Checked against Keras 3.15; tests/optimizers/test_keras_hooks.py fails loudly
when one of them changes. Nothing here alters a class: an optimizer that is
wrapped gets methods of its own, which do what the originals do whenever the
optimizer is called without its wrapper.
"""

import contextlib
import functools
import inspect
import sys
import threading

import keras

from keras_lbreg.optimizers import replicas, strategy_updates

_local = threading.local()


def hook_update(optimizer):
    """Lets a wrapper come between clipping and update of `optimizer`.

    Args:
        optimizer: `keras.optimizers.Optimizer` that updates variables itself.
    """
    if "_backend_update_step" in vars(optimizer):
        return
    update = optimizer._backend_update_step

    def finish_and_update(grads, trainable_variables, learning_rate):
        finish = _finish_of(optimizer)
        if finish is not None:
            grads = finish(grads, trainable_variables)
        update(grads, trainable_variables, learning_rate)

    optimizer._backend_update_step = finish_and_update
    if keras.backend.backend() != "tensorflow":
        return
    all_reduce = optimizer._all_reduce_sum_gradients

    def reduce_once(grads_and_vars):
        if _finish_of(optimizer) is not None:
            return list(grads_and_vars)
        return all_reduce(grads_and_vars)

    optimizer._all_reduce_sum_gradients = reduce_once
    apply_gradients = optimizer._backend_apply_gradients

    def decide_together(grads, trainable_variables):
        finish = _finish_of(optimizer)
        if finish is None or not strategy_updates.has_to_decide(optimizer):
            apply_gradients(grads, trainable_variables)
            return
        strategy_updates.apply_gradients(
            optimizer,
            grads,
            trainable_variables,
            functools.partial(reduced_gradients, optimizer, finish),
        )

    optimizer._backend_apply_gradients = decide_together


@contextlib.contextmanager
def reduced_gradients(optimizer, finish):
    """While it lasts, `optimizer.apply` takes gradients that are reduced.

    The mark is this thread's own, as each replica has a thread of its own and
    all share the optimizer.

    Args:
        optimizer: An optimizer that `hook_update` has prepared.
        finish: Function of `(gradients, variables)` that returns the gradients
            to update with; called after clipping.
    """
    outer = getattr(_local, "entry", None)
    _local.entry = (optimizer, finish)
    try:
        yield
    finally:
        _local.entry = outer


def _finish_of(optimizer):
    marked, finish = getattr(_local, "entry", None) or (None, None)
    return finish if marked is optimizer else None


def all_reduce_sum(optimizer, gradients, variables):
    """Sums gradients over all replicas with the optimizer's own collective.

    Args:
        optimizer: `keras.optimizers.Optimizer`, not a wrapper.
        gradients: List of gradients, none of them None.
        variables: List of their variables.

    Returns:
        List of gradients.
    """
    pairs = optimizer._all_reduce_sum_gradients(
        list(zip(gradients, variables, strict=True))
    )
    return [gradient for gradient, _ in pairs]


def reducing_optimizer(frame):
    """The optimizer whose all-reduce waits somewhere above `frame`, if any.

    Args:
        frame: The innermost frame of a (paused) thread.

    Returns:
        `keras.optimizers.Optimizer` or None.
    """
    return self_of_caller(
        keras.optimizers.Optimizer._all_reduce_sum_gradients, frame
    )


def self_of_caller(method, frame):
    """`self` of the innermost running call of `method`.

    Args:
        method: Function of a class, whose first argument is named `self`.
        frame: Where to begin: the innermost frame of a thread.

    Returns:
        Object, or None if `method` is not running there.
    """
    code = inspect.unwrap(method).__code__
    while frame is not None:
        if frame.f_code is code:
            return frame.f_locals["self"]
        frame = frame.f_back
    return None


def forget_variables(optimizer):
    """Drops the variables that Keras gave to `optimizer` at construction.

    A wrapper would otherwise save and load an iteration counter and a learning
    rate that nobody reads, as `LossScaleOptimizer` does.

    Args:
        optimizer: `keras.optimizers.Optimizer`.
    """
    for variable in optimizer._variables[:]:
        optimizer._untrack_variable(variable)


def overwrites_with_gradient(variable):
    """Whether Keras assigns this variable's gradient to it, as for float8."""
    return getattr(variable, "overwrite_with_gradient", False)


def variable_indices(optimizer, variables):
    """Positions of `variables` among those the optimizer was built with."""
    return [optimizer._get_variable_index(v) for v in variables]


def enclosing_loss_scale_optimizer():
    """The `LossScaleOptimizer` that is calling, directly or not, if one is.

    An inner optimizer is not told what it is wrapped in; its caller's frame
    knows.

    Returns:
        `keras.optimizers.LossScaleOptimizer` or None.
    """
    return self_of_caller(
        keras.optimizers.LossScaleOptimizer._stateful_handle_finite_grads,
        sys._getframe(1),
    )


def check_only_reduced_gradients():
    """Makes the `LossScaleOptimizer` that is building leave its check.

    It looks at the gradients of a worker's first replica, and goes on or not
    before the others are asked: where workers do not decide alike, those that
    go on wait forever at the all-reduce. With several replicas the check is
    that of the reduced gradient, later.
    """
    outside = self_of_caller(
        keras.optimizers.LossScaleOptimizer.build, sys._getframe(1)
    )
    if outside is None or "check_finite" in vars(outside):
        return
    check = outside.check_finite

    def check_later(grads):
        if replicas.replica_count() == 1:
            return check(grads)
        return keras.ops.convert_to_tensor(True)

    outside.check_finite = check_later


def count_as_non_finite(loss_scale_optimizer):
    """Makes a running `LossScaleOptimizer.apply` count as a skipped step.

    It halves the scale and sets the counter of finite steps to 0, as
    `_stateful_handle_non_finite_grads` does. The counter goes to -1 since the
    optimizer, which believes that the gradients were finite, adds 1 afterwards.

    Args:
        loss_scale_optimizer: A built `keras.optimizers.LossScaleOptimizer`.
    """
    scale = loss_scale_optimizer.dynamic_scale
    loss_scale_optimizer.step_counter.assign(-1)
    scale.assign(keras.ops.multiply(scale, 0.5))
