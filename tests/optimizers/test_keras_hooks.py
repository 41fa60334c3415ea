"""The private parts of Keras 3.15 that keras_hooks.py relies on.

If one of these fails, Keras has changed there: adapt keras_hooks.py before
raising the upper bound of the `keras` dependency.
"""

import inspect
import sys

import keras
import numpy as np
import pytest

from keras_lbreg.optimizers import ReducedGradient, keras_hooks
from tests.checks.replicas import mirrored_strategy

CHECKED_WITH = ("3.15", "3.16")

Optimizer = keras.optimizers.Optimizer
LossScaleOptimizer = keras.optimizers.LossScaleOptimizer


def test_keras_version_is_one_that_was_checked():
    assert keras.__version__.startswith(CHECKED_WITH), (
        "read the hooks again with this version of Keras"
    )


def source(function):
    return inspect.getsource(function)


def parameters(function):
    return list(inspect.signature(function).parameters)


def test_update_comes_after_clipping_and_accumulation():
    assert parameters(Optimizer._backend_update_step) == [
        "self",
        "grads",
        "trainable_variables",
        "learning_rate",
    ]
    code = source(Optimizer._backend_apply_gradients)
    for branch in code.split("else:"):
        if "_clip_gradients" not in branch:
            continue
        clip = branch.rindex("self._clip_gradients(grads)")
        assert clip < branch.rindex("self._backend_update_step(")


def test_calls_come_in_the_order_that_the_pipeline_needs():
    calls = []

    class Watched(keras.optimizers.SGD):
        def _clip_gradients(self, grads):
            calls.append("clip")
            return super()._clip_gradients(grads)

        def _backend_update_step(self, grads, trainable_variables, rate):
            calls.append("update")
            super()._backend_update_step(grads, trainable_variables, rate)

        def update_step(self, gradient, variable, learning_rate):
            calls.append("step")
            super().update_step(gradient, variable, learning_rate)

    variable = keras.Variable(np.zeros(2, "float32"))
    Watched(0.1).apply([keras.ops.ones(2)], [variable])
    assert calls == ["clip", "update", "step"]


@pytest.mark.tensorflow
def test_all_reduce_is_a_method_that_the_update_calls():
    assert parameters(Optimizer._all_reduce_sum_gradients) == [
        "self",
        "grads_and_vars",
    ]
    assert "self._all_reduce_sum_gradients(grads_and_vars)" in source(
        Optimizer._backend_update_step
    )


def test_loss_scale_optimizer_counts_after_the_inner_update():
    """`count_as_non_finite` relies on the order and on the names."""
    code = source(LossScaleOptimizer._stateful_handle_finite_grads)
    assert code.index("self.inner_optimizer.apply(") < code.index("ops.cond(")
    assert "self.step_counter.assign_add(1)" in code
    skipped = source(LossScaleOptimizer._stateful_handle_non_finite_grads)
    assert "self.step_counter.assign(0)" in skipped
    assert (
        "self.dynamic_scale.assign(ops.multiply(self.dynamic_scale, 0.5))"
        in (skipped)
    )
    assert parameters(LossScaleOptimizer._stateful_handle_finite_grads)[0] == (
        "self"
    )


def test_counting_as_non_finite_is_what_a_skipped_step_does():
    scaled = LossScaleOptimizer(keras.optimizers.SGD(), initial_scale=8.0)
    scaled.build([keras.Variable(np.zeros(2, "float32"))])
    scaled.step_counter.assign(5)
    keras_hooks.count_as_non_finite(scaled)
    scaled.step_counter.assign_add(1)
    assert int(scaled.step_counter) == 0
    assert float(scaled.dynamic_scale) == 4.0


def test_loss_scale_optimizer_checks_with_a_method_of_its_own():
    for apply in (
        LossScaleOptimizer._tf_apply,
        LossScaleOptimizer._common_apply,
    ):
        assert "self.check_finite" in source(apply)
    assert "self.inner_optimizer.build(" in source(LossScaleOptimizer.build)


@pytest.mark.tensorflow
@pytest.mark.parametrize("replicas", [1, 2])
def test_check_before_the_reduction_is_left_to_the_wrapper(replicas):
    """Workers that decide one by one wait for each other forever."""
    strategy = mirrored_strategy(replicas)
    with strategy.scope():
        scaled = LossScaleOptimizer(ReducedGradient(keras.optimizers.SGD()))
        scaled.build([keras.Variable(np.zeros(2, "float32"))])
    gradients = [keras.ops.full((2,), np.inf)]
    goes_on = strategy.run(lambda: scaled.check_finite(gradients))
    assert [
        bool(value) for value in strategy.experimental_local_results(goes_on)
    ] == [replicas > 1] * replicas
    assert not scaled.check_finite(gradients)


@pytest.mark.tensorflow
def test_enclosing_loss_scale_optimizer_is_found():
    found = []

    class Inner(keras.optimizers.SGD):
        def apply(self, grads, trainable_variables=None):
            found.append(keras_hooks.enclosing_loss_scale_optimizer())

    scaled = LossScaleOptimizer(Inner())
    variable = keras.Variable(np.zeros(2, "float32"))
    scaled.apply([keras.ops.ones(2)], [variable])
    Inner().apply([])
    assert found[0] is scaled
    assert found[-1] is None


@pytest.mark.tensorflow
def test_reducing_optimizer_is_found():
    found = []

    class Watched(keras.optimizers.SGD):
        def _all_reduce_sum_gradients(self, grads_and_vars):
            return super()._all_reduce_sum_gradients(watch(grads_and_vars))

    def watch(pairs):
        # Consumed inside of the original method.
        for pair in pairs:
            found.append(keras_hooks.reducing_optimizer(sys._getframe()))
            yield pair

    optimizer = Watched(0.1)
    variable = keras.Variable(np.zeros(2, "float32"))
    optimizer.apply([keras.ops.ones(2)], [variable])
    assert found == [optimizer]
    assert keras_hooks.reducing_optimizer(sys._getframe()) is None


def test_hooks_are_inert_without_a_wrapper():
    optimizer = keras.optimizers.SGD(1.0)
    keras_hooks.hook_update(optimizer)
    hooked = optimizer._backend_update_step
    keras_hooks.hook_update(optimizer)
    assert optimizer._backend_update_step is hooked

    first = keras.Variable(np.zeros(2, "float32"))
    optimizer.apply([keras.ops.ones(2)], [first])
    np.testing.assert_array_equal(first, [-1.0, -1.0])

    def double(gradients, variables):
        return [2 * g for g in gradients]

    with keras_hooks.reduced_gradients(optimizer, double):
        optimizer.apply([keras.ops.ones(2)], [first])
    np.testing.assert_array_equal(first, [-3.0, -3.0])
    other = keras.optimizers.SGD(1.0)
    keras_hooks.hook_update(other)
    second = keras.Variable(np.zeros(2, "float32"))
    with keras_hooks.reduced_gradients(optimizer, double):
        other.apply([keras.ops.ones(2)], [second])
    np.testing.assert_array_equal(second, [-1.0, -1.0])


def test_variables_of_the_constructor_are_iteration_and_learning_rate():
    optimizer = Optimizer(learning_rate=0.0)
    assert [v.name for v in optimizer.variables] == [
        "iteration",
        "learning_rate",
    ]
    keras_hooks.forget_variables(optimizer)
    assert optimizer.variables == []


def test_variable_positions_and_overwriting():
    variables = [keras.Variable(np.zeros(1, "float32")) for _ in range(3)]
    optimizer = keras.optimizers.SGD()
    optimizer.build(variables)
    assert keras_hooks.variable_indices(optimizer, variables[::-1]) == [2, 1, 0]
    assert not keras_hooks.overwrites_with_gradient(variables[0])
    variables[0].overwrite_with_gradient = True
    assert keras_hooks.overwrites_with_gradient(variables[0])
    assert "overwrite_with_gradient" in source(
        Optimizer._overwrite_variable_with_gradient
    )


@pytest.mark.parametrize(
    "name",
    [
        "_iterations",
        "_learning_rate",
        "_trainable_variables",
        "_trainable_variables_indices",
    ],
)
def test_attributes_that_a_wrapper_shares_exist(name):
    assert hasattr(keras.optimizers.SGD(), name)


def test_averages_have_the_name_that_the_wrapper_shares():
    optimizer = keras.optimizers.SGD(use_ema=True)
    optimizer.build([keras.Variable(np.zeros(1, "float32"))])
    assert len(optimizer._model_variables_moving_average) == 1
