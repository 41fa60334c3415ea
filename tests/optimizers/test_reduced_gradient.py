import json
import warnings

import keras
import numpy as np
import pytest

from keras_lbreg.optimizers import (
    LARS,
    CoupledSGD,
    GradientMix,
    GradientNoise,
    LossScaleOptimizer,
    ReducedGradient,
)
from keras_lbreg.optimizers.reduced_gradient import chain_of
from tests.checks.replicas import (
    apply,
    compiled,
    descend,
    fit,
    look_up,
    make_model,
    mirrored_strategy,
    train,
    weights,
)


def sgd(**kwargs):
    return keras.optimizers.SGD(0.1, momentum=0.9, **kwargs)


def constrained_model():
    model = make_model()
    model.layers[0].kernel.constraint = keras.constraints.MaxNorm(0.5)
    return model


@pytest.mark.parametrize(
    "make_optimizer",
    [
        sgd,
        lambda: keras.optimizers.Nadam(0.01, clipvalue=0.1),
        lambda: keras.optimizers.AdamW(
            0.01, use_ema=True, ema_overwrite_frequency=3, global_clipnorm=0.1
        ),
        lambda: sgd(gradient_accumulation_steps=2, clipnorm=0.1),
        lambda: sgd(loss_scale_factor=64.0),
        lambda: keras.optimizers.Muon(0.01, weight_decay=0.1),
    ],
    ids=["sgd", "nadam", "adamw-ema", "accumulation", "loss-scale", "muon"],
)
def test_one_device_does_what_the_inner_optimizer_does(make_optimizer):
    plain = train(make_optimizer, make_model=constrained_model)
    wrapped = train(
        lambda: ReducedGradient(make_optimizer()), make_model=constrained_model
    )
    np.testing.assert_array_equal(plain, wrapped)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "clip",
    [{"clipnorm": 0.05}, {"global_clipnorm": 0.05}, {"clipvalue": 0.01}],
    ids=lambda clip: next(iter(clip)),
)
def test_clipping_is_the_same_on_one_and_two_replicas(clip):
    def wrapped():
        return ReducedGradient(sgd(**clip))

    np.testing.assert_allclose(
        descend(wrapped, replicas=2), descend(wrapped), atol=1e-5
    )


@pytest.mark.tensorflow
def test_keras_alone_clips_each_replica():
    def stock():
        return sgd(global_clipnorm=0.05)

    difference = descend(stock, replicas=2) - descend(stock)
    assert np.abs(difference).max() > 1e-3


@pytest.mark.tensorflow
def test_weight_decay_and_averaging_on_four_replicas():
    def wrapped():
        optimizer = keras.optimizers.AdamW(
            0.01, weight_decay=0.1, use_ema=True, clipvalue=0.1
        )
        return ReducedGradient(optimizer)

    np.testing.assert_allclose(
        descend(wrapped, replicas=4), descend(wrapped), atol=1e-5
    )


@pytest.mark.tensorflow
def test_wrapping_leaves_the_optimizer_itself_alone():
    def inner_of_wrapper():
        return ReducedGradient(sgd(clipnorm=0.05)).inner_optimizer

    def stock():
        return sgd(clipnorm=0.05)

    np.testing.assert_array_equal(
        descend(inner_of_wrapper, replicas=2), descend(stock, replicas=2)
    )


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "replicas", [2, pytest.param(3, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
    "inner",
    [
        lambda: keras.optimizers.Nadam(0.01),
        lambda: keras.optimizers.Muon(0.01, weight_decay=0.1),
        lambda: keras.optimizers.Nadam(0.01, gradient_accumulation_steps=2),
        lambda: keras.optimizers.ScheduleFreeAdamW(0.01),
        lambda: keras.optimizers.Adafactor(0.01),
        lambda: keras.optimizers.Lamb(0.01),
    ],
    ids=["nadam", "muon", "nadam-accumulation", "free", "adafactor", "lamb"],
)
def test_optimizers_with_an_update_of_their_own_on_replicas(inner, replicas):
    def wrapped():
        return GradientNoise(inner(), alpha=1e-3, seed=1)

    np.testing.assert_allclose(
        descend(wrapped, replicas, batch=12),
        descend(wrapped, batch=12),
        atol=1e-5,
    )


def wrapper_of_others(base):
    """A wrapper after the pattern of Keras's `LossScaleOptimizer`."""

    class Lookahead(base):
        def __init__(self, inner):
            super().__init__(learning_rate=0.0)
            self.inner_optimizer = inner

        def build(self, variables):
            self.inner_optimizer.build(variables)
            super().build(variables)

        def apply(self, grads, trainable_variables=None):
            self.inner_optimizer.apply(grads, trainable_variables)

    return Lookahead


@pytest.mark.parametrize(
    "wrapper", [ReducedGradient, GradientNoise, GradientMix]
)
def test_wrapper_of_somebody_else_is_refused_inside(wrapper):
    lookahead = wrapper_of_others(keras.optimizers.Optimizer)
    with pytest.raises(TypeError, match="`Lookahead` has `apply` of its own"):
        wrapper(lookahead(sgd()))


def test_wrapper_of_somebody_else_works_outside():
    lookahead = wrapper_of_others(keras.optimizers.Optimizer)

    def noise():
        return GradientNoise(sgd(), alpha=0.1, seed=1)

    variables = [keras.Variable(np.zeros(3, "float32")) for _ in range(2)]
    for optimizer, variable in zip(
        (noise(), lookahead(noise())), variables, strict=True
    ):
        optimizer.build([variable])
        optimizer.apply([keras.ops.ones(3)], [variable])
    np.testing.assert_array_equal(*variables)


def test_wrapper_of_ours_with_its_own_apply():
    class Counting(ReducedGradient):
        calls = 0

        def apply(self, grads, trainable_variables=None):
            Counting.calls += 1
            super().apply(grads, trainable_variables)

    variable = keras.Variable(np.zeros(3, "float32"))
    Counting(GradientNoise(sgd())).apply([keras.ops.ones(3)], [variable])
    assert Counting.calls == 1
    assert np.abs(np.asarray(variable)).min() > 0
    with pytest.raises(TypeError, match="`Counting` has `apply` of its own"):
        GradientNoise(Counting(sgd()))


@pytest.mark.parametrize(
    "method", ["update_step", "_backend_update_step", "_clip_gradients"]
)
def test_method_replaced_by_the_owner_is_called(method):
    optimizer = keras.optimizers.SGD(1.0, clipvalue=100.0)
    original = getattr(optimizer, method)
    calls = []

    def watched(*args):
        calls.append(method)
        return original(*args)

    setattr(optimizer, method, watched)
    variable = keras.Variable(np.zeros(3, "float32"))
    GradientNoise(optimizer, alpha=1.0, seed=1).apply(
        [keras.ops.zeros(3)], [variable]
    )
    assert calls == [method]
    # The noise arrived.
    assert np.abs(np.asarray(variable)).max() > 0.1


@pytest.mark.parametrize("method", ["apply", "apply_gradients"])
def test_pipeline_replaced_by_the_owner_is_refused(method):
    optimizer = sgd()
    setattr(optimizer, method, lambda *args: None)
    with pytest.raises(TypeError, match=f"`SGD` has `{method}` of its own"):
        ReducedGradient(optimizer)


@pytest.mark.parametrize("make", [sgd, lambda: keras.optimizers.Nadam(0.1)])
def test_nothing_of_the_inner_optimizer_is_replaced(make):
    inner, other = make(), make()
    variable = keras.Variable(np.zeros(3, "float32"))
    GradientNoise(GradientMix(inner, seed=1), seed=1).build([variable])
    other.build([variable])
    assert set(vars(inner)) == set(vars(other))


def traffic(make_optimizer):
    """Reductions in the traced step of two replicas: their sizes in bytes."""
    import tensorflow as tf

    class Counting(tf.distribute.ReductionToOneDevice):
        def reduce(self, reduce_op, per_replica_value, *args, **kwargs):
            sizes.append([nbytes(per_replica_value)])
            return super().reduce(reduce_op, per_replica_value, *args, **kwargs)

        def batch_reduce(self, reduce_op, pairs, *args, **kwargs):
            sizes.append([nbytes(value) for value, _ in pairs])
            return super().batch_reduce(reduce_op, pairs, *args, **kwargs)

    def nbytes(per_replica):
        value = per_replica.values[0]
        return value.shape.num_elements() * value.dtype.size

    sizes = []
    descend(make_optimizer, 2, steps=1, cross_device_ops=Counting())
    return sizes


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "make_optimizer",
    [
        lambda: ReducedGradient(sgd(clipnorm=0.1)),
        lambda: GradientMix(sgd(), seed=1),
        lambda: GradientNoise(sgd(), seed=1),
        lambda: GradientNoise(GradientMix(sgd(), seed=1), seed=1),
        lambda: ReducedGradient(sgd(gradient_accumulation_steps=2)),
        lambda: ReducedGradient(sgd(use_ema=True, ema_overwrite_frequency=2)),
    ],
    ids=["clip", "mix", "noise", "noise-mix", "accumulation", "averaging"],
)
def test_no_collective_and_no_byte_is_added(make_optimizer):
    one_reduction = [[5 * 4, 4]]  # kernel and bias in float32
    assert traffic(sgd) == one_reduction
    assert traffic(make_optimizer) == one_reduction


@pytest.mark.parametrize(
    "make_optimizer",
    [
        lambda: GradientNoise(keras.optimizers.SGD(0.1), alpha=0.01, seed=1),
        lambda: ReducedGradient(keras.optimizers.SGD(0.1, clipnorm=0.01)),
        lambda: ReducedGradient(keras.optimizers.SGD(0.1)),
    ],
    ids=["noise", "clip", "plain"],
)
@pytest.mark.tensorflow
def test_sparse_gradients(make_optimizer):
    np.testing.assert_allclose(
        descend(make_optimizer, replicas=2, predict=look_up),
        descend(make_optimizer, predict=look_up),
        atol=1e-5,
    )


@pytest.mark.tensorflow
def test_sparse_gradients_stay_sparse_where_nothing_needs_them_dense():
    import tensorflow as tf

    seen = []

    class Watch(ReducedGradient):
        def transform_reduced_gradients(self, gradients, indices, step):
            seen.extend(isinstance(g, tf.IndexedSlices) for g in gradients)
            return gradients

    descend(
        lambda: Watch(GradientMix(sgd(), seed=1)),
        replicas=2,
        steps=1,
        predict=look_up,
    )
    assert seen == [True, False] * 2  # kernel and bias, on both replicas


@pytest.mark.tensorflow
def test_cross_replica_context_is_refused():
    with mirrored_strategy(2).scope():
        variable = keras.Variable(np.ones(2, "float32"))
        optimizer = ReducedGradient("sgd")
        with pytest.raises(RuntimeError, match=r"strategy.run"):
            optimizer.apply([keras.ops.ones(2)], [variable])


def clipped_noise():
    return GradientNoise(sgd(clipnorm=0.05), alpha=0.01, seed=1)


def test_xla_on_one_device():
    np.testing.assert_allclose(
        train(clipped_noise, jit_compile=True),
        train(clipped_noise, jit_compile=False),
        atol=1e-5,
    )


def test_apply_builds_and_skips_variables_without_gradient():
    first, second = (keras.Variable(np.ones(2, "float32")) for _ in range(2))
    optimizer = GradientNoise(keras.optimizers.SGD(0.1), alpha=0.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        optimizer.apply([None, keras.ops.ones(2)], [first, second])
    assert any("Gradients do not exist" in str(w.message) for w in caught)
    np.testing.assert_allclose(first, [1.0, 1.0])
    np.testing.assert_allclose(second, [0.9, 0.9])
    optimizer.apply([keras.ops.ones(2), keras.ops.ones(2)])
    np.testing.assert_allclose(first, [0.9, 0.9])


def test_variables_that_keras_overwrites_get_their_gradient():
    scale = keras.Variable(np.ones(2, "float32"))
    scale.overwrite_with_gradient = True
    weight = keras.Variable(np.ones(2, "float32"))
    optimizer = GradientNoise(keras.optimizers.SGD(0.1), alpha=1.0, seed=1)
    optimizer.apply(
        [keras.ops.full((2,), 7.0), keras.ops.zeros(2)], [scale, weight]
    )
    np.testing.assert_array_equal(scale, [7.0, 7.0])
    assert np.abs(np.asarray(weight) - 1.0).min() > 0


def test_apply_without_variables_before_build():
    optimizer = ReducedGradient("sgd")
    with pytest.raises(ValueError, match="must already be built"):
        optimizer.apply([np.ones(2)])


def test_two_wrappers_call_the_hooks_in_one_pipeline():
    calls = []

    class Recorder(ReducedGradient):
        def transform_local_gradients(self, gradients, step):
            calls.append((type(self).__name__, "local"))
            return gradients

        def transform_reduced_gradients(self, gradients, indices, step):
            calls.append((type(self).__name__, "reduced", tuple(indices)))
            return gradients

    class Other(Recorder):
        pass

    variables = [keras.Variable(np.ones(2, "float32")) for _ in range(2)]
    optimizer = Recorder(Other("sgd"))
    optimizer.apply([keras.ops.ones(2)] * 2, variables)
    assert calls == [
        ("Recorder", "local"),
        ("Other", "local"),
        ("Recorder", "reduced", (0, 1)),
        ("Other", "reduced", (0, 1)),
    ]


def nested(inner):
    return GradientNoise(GradientMix(inner, seed=3), seed=4)


def test_attributes_are_those_of_the_inner_optimizer():
    sgd = keras.optimizers.SGD(
        0.1, weight_decay=0.2, clipnorm=3.0, loss_scale_factor=8.0
    )
    wrapper = nested(sgd)
    assert chain_of(wrapper)[-1] is sgd
    assert float(wrapper.learning_rate) == pytest.approx(0.1)
    wrapper.learning_rate = 0.5
    assert float(sgd.learning_rate) == 0.5
    assert wrapper.weight_decay == 0.2
    assert wrapper.clipnorm == 3.0
    wrapper.clipnorm = 4.0
    assert sgd.clipnorm == 4.0
    assert wrapper.iterations is sgd.iterations
    assert float(wrapper.scale_loss(keras.ops.ones(()))) == 8.0
    wrapper.loss_scale_factor = None
    assert sgd.loss_scale_factor is None


def test_learning_rate_schedule():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [1], [0.5, 0.1]
    )
    wrapper = GradientNoise(keras.optimizers.SGD(schedule))
    variable = keras.Variable(np.zeros(2, "float32"))
    rates = []
    for _ in range(3):
        rates.append(float(wrapper.learning_rate))
        wrapper.apply([keras.ops.ones(2)], [variable])
    np.testing.assert_allclose(rates, [0.5, 0.5, 0.1])


def test_variables_have_no_duplicates_and_no_idle_ones():
    sgd = keras.optimizers.SGD(0.1, momentum=0.9)
    wrapper = nested(sgd)
    wrapper.build([keras.Variable(np.zeros(2, "float32"))])
    names = [v.name for v in wrapper.variables]
    assert names[:2] == ["seed", "seed"]
    assert wrapper.variables[2:] == sgd.variables
    assert len({id(v) for v in wrapper.variables}) == len(wrapper.variables)


def test_excluding_from_weight_decay():
    sgd = keras.optimizers.SGD(1.0, weight_decay=0.5)
    wrapper = ReducedGradient(sgd)
    wrapper.exclude_from_weight_decay(var_names=["bias"])
    kernel = keras.Variable(np.ones(1, "float32"), name="kernel")
    bias = keras.Variable(np.ones(1, "float32"), name="bias")
    wrapper.apply([keras.ops.zeros(1)] * 2, [kernel, bias])
    assert float(kernel[0]) == 0.5
    assert float(bias[0]) == 1.0


def test_final_values_are_the_averages():
    adam = keras.optimizers.Adam(0.1, use_ema=True, ema_momentum=0.5)
    wrapper = ReducedGradient(adam)
    variable = keras.Variable(np.zeros(2, "float32"))
    for _ in range(3):
        wrapper.apply([keras.ops.ones(2)], [variable])
    last = np.array(variable)
    wrapper.finalize_variable_values([variable])
    average = np.array(adam._model_variables_moving_average[0])
    np.testing.assert_array_equal(variable, average)
    assert np.abs(last - average).min() > 0


@pytest.mark.parametrize("nest", [ReducedGradient, nested])
@pytest.mark.filterwarnings("ignore:`GradientMix` has no effect")
def test_swap_ema_weights_finds_the_averages(nest):
    model = compiled(lambda: nest(keras.optimizers.SGD(0.1, use_ema=True)))
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    fit(model, callbacks=[swap])
    # The callback and `finalize_variable_values` leave the averages behind.
    averages = model.optimizer._model_variables_moving_average
    np.testing.assert_allclose(
        weights(model),
        np.concatenate([np.ravel(np.asarray(a)) for a in averages]),
    )


def test_config_round_trip():
    wrapper = GradientMix(
        GradientNoise(
            keras.optimizers.SGD(0.25, momentum=0.5), alpha=0.1, gamma=0.2
        ),
        concentration=0.5,
        seed=7,
        name="mixed",
    )
    config = keras.saving.serialize_keras_object(wrapper)
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == wrapper.get_config()
    assert [type(o) for o in chain_of(again)] == [
        GradientMix,
        GradientNoise,
        keras.optimizers.SGD,
    ]
    assert again.name == "mixed"
    assert again.concentration == 0.5
    assert again.inner_optimizer.alpha == 0.1
    assert again.inner_optimizer.seed is None


def test_from_config_leaves_the_configuration_alone():
    config = GradientNoise("sgd", seed=1).get_config()
    before = dict(config)
    GradientNoise.from_config(config)
    assert config == before


def test_inner_optimizer_by_name():
    assert isinstance(
        GradientNoise("adam").inner_optimizer, keras.optimizers.Adam
    )


def test_multi_optimizer_inside_is_refused():
    optimizers = keras.optimizers.OptimizerMap(keras.optimizers.SGD())
    with pytest.raises(ValueError, match="write `MultiOptimizer` outside"):
        GradientNoise(keras.optimizers.MultiOptimizer(optimizers))


def test_the_same_wrapper_twice_is_refused():
    with pytest.raises(ValueError, match="wrap it once"):
        GradientNoise(GradientMix(GradientNoise("sgd")))


def test_something_else_is_refused():
    with pytest.raises(ValueError, match="optimizer"):
        GradientNoise(3)


NUMPY_ARGUMENTS = {
    "noise": lambda f: GradientNoise("sgd", f(0.01), f(0.55), np.int64(3)),
    "mix": lambda f: GradientMix("sgd", f(0.5), np.int64(3)),
    "lars": lambda f: LARS(f(0.1), f(0.9), f(1e-4), f(1e-3), f(1e-9)),
    "coupled": lambda f: CoupledSGD(f(0.1), f(0.9), f(1e-4), np.int64(2)),
    "loss-scale": lambda f: LossScaleOptimizer("sgd", f(8.0), np.int32(4)),
}


@pytest.mark.parametrize("number", [np.float64, np.float32, float])
@pytest.mark.parametrize("name", NUMPY_ARGUMENTS)
@pytest.mark.filterwarnings("ignore:`GradientMix` has no effect")
def test_numpy_scalars_as_arguments(name, number):
    optimizer = NUMPY_ARGUMENTS[name](number)
    json.dumps(keras.saving.serialize_keras_object(optimizer))
    variable = keras.Variable(np.ones(3, "float32"))
    apply(optimizer, [keras.ops.ones(3)], [variable])
    assert np.isfinite(np.asarray(variable)).all()
    assert np.asarray(variable).dtype == np.float32


def trained(optimizer, steps=3):
    variable = keras.Variable(np.ones((2, 2), "float32"))
    optimizer.build([variable])
    for _ in range(steps):
        optimizer.apply([keras.ops.ones((2, 2))], [variable])
    return optimizer


@pytest.mark.parametrize("wrap", [ReducedGradient, nested])
@pytest.mark.filterwarnings("ignore:`GradientMix` has no effect")
def test_weights_can_be_set(wrap):
    one = trained(wrap(keras.optimizers.Adam()))
    other = trained(wrap(keras.optimizers.Adam()), steps=0)
    values = [np.array(v) for v in one.variables]
    other.set_weights(values)
    for value, variable in zip(values, other.variables, strict=True):
        np.testing.assert_array_equal(variable, value)
    with pytest.raises(ValueError, match="argument `weights`"):
        other.set_weights(values[1:])
    with pytest.raises(ValueError, match="built"):
        wrap(keras.optimizers.Adam()).set_weights(values)
