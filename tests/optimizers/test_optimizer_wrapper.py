import keras
import numpy as np
import pytest

from keras_lbreg.optimizers import GradientMix, GradientNoise, ReducedGradient
from keras_lbreg.optimizers.optimizer_wrapper import chain_of
from tests.checks.replicas import compiled, fit, weights


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


@pytest.mark.parametrize(
    "wrapper", [ReducedGradient, GradientNoise, GradientMix]
)
def test_loss_scale_optimizer_inside_is_refused(wrapper):
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())
    with pytest.raises(ValueError, match="write `LossScaleOptimizer` outside"):
        wrapper(scaled)


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
