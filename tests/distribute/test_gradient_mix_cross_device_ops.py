import gc
import logging

import keras
import numpy as np
import pytest

from keras_lbreg.distribute import GradientMixCrossDeviceOps
from keras_lbreg.layers import GhostBatchNormalization
from keras_lbreg.optimizers import (
    GradientMix,
    GradientNoise,
    LossScaleOptimizer,
    ReducedGradient,
)
from keras_lbreg.random.mixing_weights import mixing_weights
from keras_lbreg.warnings import NoEffectWarning
from tests.checks.groups import train_on_groups
from tests.checks.replicas import (
    BATCH,
    compiled,
    descend,
    fit,
    make_model,
    mirrored_strategy,
    regression_data,
    weights,
)


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


def sgd():
    return keras.optimizers.SGD(0.1, momentum=0.9)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("replicas", "inner"), [(2, "ReductionToOneDevice"), (4, None)]
)
def test_twenty_steps_are_those_of_the_wrapper(replicas, inner):
    import tensorflow as tf

    inner = inner and getattr(tf.distribute, inner)()
    ops = GradientMixCrossDeviceOps(inner, concentration=0.5, seed=3)
    final = descend(sgd, replicas, steps=20, cross_device_ops=ops)
    wrapped = descend(
        lambda: GradientMix(sgd(), concentration=0.5, seed=3),
        replicas,
        steps=20,
    )
    np.testing.assert_allclose(final, wrapped, atol=1e-5)
    assert np.abs(final - descend(sgd, replicas, steps=20)).max() > 1e-3


@pytest.mark.tensorflow
@pytest.mark.parametrize("replicas", [2, slow(4)])
def test_twenty_steps_are_those_of_groups_on_one_device(replicas):
    ops = GradientMixCrossDeviceOps(concentration=0.5, seed=3)
    model = compiled(sgd, replicas, cross_device_ops=ops)
    fit(model, epochs=5)
    on_groups = train_on_groups(sgd, replicas, concentration=0.5)
    np.testing.assert_allclose(weights(model), weights(on_groups), atol=1e-5)


@pytest.mark.tensorflow
@pytest.mark.parametrize("how", [slow("wrapper"), "ops"])
def test_ghosts_of_a_replica_follow_ghosts_of_a_group(how):
    """Batch statistics are of 8 samples, on two replicas or in two ghosts."""

    def ghost_model():
        return keras.Sequential(
            [
                keras.Input((5,)),
                keras.layers.Dense(7, activation="tanh"),
                GhostBatchNormalization(ghost_batch_size=BATCH // 2),
                keras.layers.Dense(1),
            ]
        )

    ops = GradientMixCrossDeviceOps(seed=3) if how == "ops" else None
    model = compiled(
        sgd if ops else lambda: GradientMix(sgd(), seed=3),
        2,
        make_model=ghost_model,
        cross_device_ops=ops,
    )
    fit(model, epochs=5)
    on_groups = train_on_groups(sgd, 2, make_model=ghost_model)
    # Under Keras each replica has moving statistics of its own.
    for ours, theirs in zip(
        model.trainable_weights, on_groups.trainable_weights, strict=True
    ):
        np.testing.assert_allclose(
            ours.numpy(), theirs.numpy(), atol=1e-5, err_msg=ours.path
        )


@pytest.mark.tensorflow
def test_hierarchical_copy_inside():
    import tensorflow as tf

    ops = GradientMixCrossDeviceOps(
        tf.distribute.HierarchicalCopyAllReduce(), seed=3
    )
    np.testing.assert_allclose(
        descend(sgd, 4, cross_device_ops=ops),
        descend(lambda: GradientMix(sgd(), seed=3), 4),
        atol=1e-5,
    )


@pytest.mark.tensorflow
def test_wrappers_and_loss_scaling_on_top():
    def noisy():
        inner = GradientNoise(sgd(), alpha=0.01, seed=4)
        return LossScaleOptimizer(inner)

    def noisy_mix():
        inner = GradientNoise(GradientMix(sgd(), seed=3), alpha=0.01, seed=4)
        return LossScaleOptimizer(inner)

    ops = GradientMixCrossDeviceOps(seed=3)
    np.testing.assert_allclose(
        descend(noisy, 2, cross_device_ops=ops),
        descend(noisy_mix, 2),
        atol=1e-5,
    )


@pytest.mark.tensorflow
def test_statistics_metrics_and_losses_are_left_alone():
    """Synchronised batch norm sends sums on the gradients' own way."""

    def trained(make_optimizer, ops=None):
        model = compiled(
            make_optimizer,
            2,
            make_model=lambda: make_model(batch_norm=True),
            cross_device_ops=ops,
            metrics=["mae"],
        )
        history = fit(model, epochs=2).history
        return weights(model), history["loss"], history["mae"]

    ops = GradientMixCrossDeviceOps(seed=3)
    for ours, theirs in zip(
        trained(sgd, ops),
        trained(lambda: GradientMix(sgd(), seed=3)),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def spied(inner_name):
    """Cross-device operations, and what goes into them and comes out.

    Returns:
        The operations, the values given to them and the values that they give
        to the inner ones: a list of lists, one for each reduction.
    """
    import tensorflow as tf

    given, passed_on = [], []

    class Spy(getattr(tf.distribute, inner_name)):
        def reduce(self, reduce_op, per_replica_value, *args, **kwargs):
            passed_on.append([per_replica_value])
            return super().reduce(reduce_op, per_replica_value, *args, **kwargs)

        def batch_reduce(self, reduce_op, pairs, *args, **kwargs):
            passed_on.append([value for value, _ in pairs])
            return super().batch_reduce(reduce_op, pairs, *args, **kwargs)

    class Spied(GradientMixCrossDeviceOps):
        def reduce_implementation(
            self, reduce_op, value, destinations, options
        ):
            given.append([value])
            return super().reduce_implementation(
                reduce_op, value, destinations, options
            )

        def batch_reduce_implementation(self, reduce_op, pairs, options):
            given.append([value for value, _ in pairs])
            return super().batch_reduce_implementation(
                reduce_op, pairs, options
            )

    return Spied(Spy(), seed=3), given, passed_on


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "inner", ["ReductionToOneDevice", "HierarchicalCopyAllReduce"]
)
def test_everything_but_the_gradients_is_passed_on_as_it_is(inner):
    """In training, evaluation and reading, with synchronised batch norm."""
    ops, given, passed_on = spied(inner)
    model = compiled(
        sgd,
        2,
        make_model=lambda: make_model(batch_norm=True),
        cross_device_ops=ops,
        metrics=["mae"],
    )
    fit(model)
    model.evaluate(*regression_data(), batch_size=BATCH, verbose=0)
    weights(model)
    assert [len(values) for values in passed_on] == [
        len(values) for values in given
    ]
    touched = [
        values
        for values, others in zip(given, passed_on, strict=True)
        if any(a is not b for a, b in zip(values, others, strict=True))
    ]
    # Keras traces the training step once.
    [gradients] = touched
    assert [tuple(g.values[0].shape) for g in gradients] == [
        tuple(v.shape) for v in model.trainable_variables
    ]
    assert len(given) > 1


def regularized_model():
    l2 = keras.regularizers.L2(0.1)
    return keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(7, "tanh", kernel_regularizer=l2),
            keras.layers.Dense(1, bias_regularizer=l2),
        ]
    )


@pytest.mark.tensorflow
def test_all_three_agree_with_regularizers():
    finals = [weights(train_on_groups(sgd, 2, make_model=regularized_model))]
    for make_optimizer, ops in (
        (lambda: GradientMix(sgd(), seed=3), None),
        (sgd, GradientMixCrossDeviceOps(seed=3)),
    ):
        model = compiled(
            make_optimizer,
            2,
            make_model=regularized_model,
            cross_device_ops=ops,
        )
        fit(model, epochs=5)
        finals.append(weights(model))
    for final in finals[1:]:
        np.testing.assert_allclose(final, finals[0], atol=1e-5)
    assert int(ops.step) == 20


class MySGD(keras.optimizers.SGD):
    pass


def watched_sums(make_optimizer, steps, ops_kwargs, in_graph=True, shape=(2,)):
    """What two replicas sum in each step: of their own, and gradients."""
    import tensorflow as tf

    sums = []

    class Watching(tf.distribute.ReductionToOneDevice):
        def batch_reduce_implementation(self, reduce_op, pairs, options):
            tf.py_function(
                lambda *values: sums.append(float(sum(values)[..., 0])),
                [tf.reshape(v, (-1,)) for v in pairs[0][0].values],
                [],
            )
            return super().batch_reduce_implementation(
                reduce_op, pairs, options
            )

    ops = GradientMixCrossDeviceOps(Watching(), seed=3, **ops_kwargs)
    strategy = mirrored_strategy(2, ops)
    with strategy.scope():
        variable = keras.Variable(np.zeros(shape, "float32"))
        optimizer = make_optimizer()
        optimizer.build([variable])

    def replica_step():
        context = tf.distribute.get_replica_context()
        rank = tf.ones(shape) * tf.cast(
            context.replica_id_in_sync_group, "float32"
        )
        context.all_reduce("SUM", rank)
        context.all_reduce("MEAN", [rank, rank])
        optimizer.apply([rank], [variable])

    def step():
        strategy.run(replica_step)

    if in_graph:
        step = tf.function(step)
    for _ in range(steps):
        step()
    return np.reshape(sums, (steps, 3)), ops


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "make_optimizer",
    [
        sgd,
        MySGD,
        keras.optimizers.RMSprop,
        lambda: ReducedGradient(sgd()),
        lambda: keras.optimizers.LossScaleOptimizer(sgd(), initial_scale=1.0),
    ],
    ids=["sgd", "my_sgd", "rms_prop", "wrapped", "loss_scale"],
)
def test_only_what_an_optimizer_reduces_is_mixed(make_optimizer):
    sums, ops = watched_sums(make_optimizer, 3, {"initial_step": 5})
    for step, (own, mean, gradient) in enumerate(sums, start=5):
        mixed = 2 * mixing_weights(3, step, 2, xp=np)[1]
        assert (own, mean) == (1.0, 1.0)
        assert gradient == pytest.approx(mixed, rel=1e-5)
    assert int(ops.step) == 8


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("kwargs", "shape"),
    [
        ({"in_graph": False}, (2,)),
        ({"make_optimizer": lambda: keras.optimizers.SGD(name="mine")}, (2,)),
        ({}, ()),
    ],
    ids=["eager", "named", "scalars"],
)
def test_what_is_not_recognised_is_left_alone(kwargs, shape):
    kwargs = {"make_optimizer": sgd, "ops_kwargs": {}, **kwargs}
    sums, ops = watched_sums(steps=1, shape=shape, **kwargs)
    np.testing.assert_array_equal(sums, 1.0)
    assert int(ops.step) == 0


@pytest.mark.tensorflow
def test_one_that_was_never_asked_says_so_in_the_end(caplog):
    ops = GradientMixCrossDeviceOps()
    del ops
    gc.collect()
    assert "never asked to reduce gradients" in caplog.text


@pytest.mark.tensorflow
@pytest.mark.parametrize("in_graph", [True, False])
def test_sums_of_several_values_elsewhere_are_left_with_a_warning(in_graph):
    import tensorflow as tf

    strategy = mirrored_strategy(2, GradientMixCrossDeviceOps(seed=3))

    def replica_step():
        context = tf.distribute.get_replica_context()
        return context.all_reduce("SUM", [tf.ones(2), tf.ones(3)])

    def step():
        return strategy.run(replica_step)

    with pytest.warns(NoEffectWarning, match="a sum of 2 values"):
        results = (tf.function(step) if in_graph else step)()
    for result in results:
        for value in strategy.experimental_local_results(result):
            np.testing.assert_array_equal(value, 2.0)


@pytest.mark.tensorflow
def test_sparse_gradients():
    def embedding():
        return keras.Sequential(
            [
                keras.Input((4,), dtype="int32"),
                keras.layers.Embedding(9, 3),
                keras.layers.Flatten(),
                keras.layers.Dense(1),
            ]
        )

    x = np.random.default_rng(0).integers(0, 9, (64, 4))
    y = np.ones((64, 1), "float32")
    finals = []
    for make_optimizer, ops in (
        (lambda: GradientMix(sgd(), seed=3), None),
        (sgd, GradientMixCrossDeviceOps(seed=3)),
    ):
        model = compiled(
            make_optimizer, 2, make_model=embedding, cross_device_ops=ops
        )
        model.fit(x, y, batch_size=16, shuffle=False, verbose=0)
        finals.append(weights(model))
    np.testing.assert_allclose(*finals, atol=1e-5)


@pytest.mark.tensorflow
def test_gathering_is_passed_on():
    import tensorflow as tf

    strategy = mirrored_strategy(2, GradientMixCrossDeviceOps(seed=3))
    values = strategy.experimental_distribute_values_from_function(
        lambda context: tf.fill([1], context.replica_id_in_sync_group)
    )
    assert strategy.gather(values, axis=0).numpy().tolist() == [0, 1]


@pytest.mark.tensorflow
def test_mixing_twice_is_refused():
    ops = GradientMixCrossDeviceOps(seed=3)
    with pytest.raises(ValueError, match="changes each replica's gradient"):
        descend(
            lambda: GradientNoise(GradientMix(sgd(), seed=3)),
            2,
            cross_device_ops=ops,
        )


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("global_clipnorm", 0.5),
        slow("clipnorm", 0.5),
        slow("clipvalue", 0.1),
    ],
)
def test_clipping_is_of_the_mixed_gradient_or_refused(argument, value):
    def clipped():
        return keras.optimizers.SGD(0.1, momentum=0.9, **{argument: value})

    ops = GradientMixCrossDeviceOps(seed=3)
    with pytest.raises(ValueError, match=r"ReducedGradient\(optimizer\)"):
        descend(clipped, 2, cross_device_ops=ops)
    final = descend(
        lambda: ReducedGradient(clipped()), 2, cross_device_ops=ops, steps=20
    )
    wrapped = descend(lambda: GradientMix(clipped(), seed=3), 2, steps=20)
    np.testing.assert_allclose(final, wrapped, atol=1e-5)
    unclipped = descend(lambda: GradientMix(sgd(), seed=3), 2, steps=20)
    assert np.abs(final - unclipped).max() > 1e-3


@pytest.mark.tensorflow
def test_loss_scaling_sees_every_replica():
    """An infinite gradient on replica 1 alone."""
    import tensorflow as tf

    def step(scaled):
        strategy = mirrored_strategy(2, GradientMixCrossDeviceOps(seed=3))
        with strategy.scope():
            variable = keras.Variable([0.0, 0.0])
            optimizer = scaled(sgd())
            optimizer.build([variable])

        def replica_step():
            context = tf.distribute.get_replica_context()
            is_finite = tf.equal(context.replica_id_in_sync_group, 0)
            gradient = tf.where(is_finite, tf.ones(2), float("inf"))
            optimizer.apply([gradient], [variable])

        tf.function(lambda: strategy.run(replica_step))()
        return float(variable.numpy()[0])

    assert not np.isfinite(step(keras.optimizers.LossScaleOptimizer))
    assert step(LossScaleOptimizer) == 0.0


@pytest.mark.tensorflow
def test_both_say_so_where_tensorflow_ignores_it(monkeypatch, caplog):
    import tensorflow as tf

    ops = GradientMixCrossDeviceOps(concentration=0.5, seed=3)
    strategy = mirrored_strategy(2, ops)
    # As under XLA on GPUs alone, which no CPU can show.
    monkeypatch.setattr(strategy.extended, "_use_merge_call", lambda: False)
    tensorflow = logging.getLogger("tensorflow")
    monkeypatch.setattr(tensorflow, "handlers", [caplog.handler])
    chosen = strategy.extended._get_cross_device_ops(tf.ones(()))
    assert chosen is not ops
    assert f"{ops} is provided" in caplog.text.replace("Although ", "")
    assert "GradientMixCrossDeviceOps(concentration=0.5, seed=3)" in repr(ops)
    assert "it is ignored in XLA" in caplog.text


@pytest.mark.tensorflow
def test_it_is_a_cross_device_ops():
    import tensorflow as tf

    ops = GradientMixCrossDeviceOps(seed=3)
    assert isinstance(ops, tf.distribute.CrossDeviceOps)
    assert not isinstance(ops, tf.distribute.ReductionToOneDevice)
    assert isinstance(ops.inner, tf.distribute.ReductionToOneDevice)


@pytest.mark.tensorflow
def test_nccl_inside(monkeypatch):
    import tensorflow as tf

    nccl = tf.distribute.NcclAllReduce()
    assert GradientMixCrossDeviceOps(nccl).inner is nccl
    # The default where there are several GPUs.
    monkeypatch.setattr(
        tf.config, "list_physical_devices", lambda kind: [kind, kind]
    )
    default = GradientMixCrossDeviceOps().inner
    assert isinstance(default, tf.distribute.NcclAllReduce)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("argument", "value"),
    [("concentration", 0), ("seed", -1), ("initial_step", -1)],
)
def test_invalid_arguments(argument, value):
    with pytest.raises(ValueError, match=f"argument `{argument}`"):
        GradientMixCrossDeviceOps(**{argument: value})


def test_other_backends_get_a_clear_error():
    if keras.backend.backend() == "tensorflow":
        pytest.skip("needs another backend")
    with pytest.raises(RuntimeError, match="needs the TensorFlow backend"):
        GradientMixCrossDeviceOps()


@pytest.mark.tensorflow
def test_one_that_is_asked_says_so_once(caplog):
    caplog.set_level("INFO", "keras_lbreg")
    _, ops = watched_sums(sgd, steps=2, ops_kwargs={})
    assert int(ops.step) == 2
    said = [r.message for r in caplog.records if "mixes" in r.message]
    assert said == [
        "`GradientMixCrossDeviceOps` mixes the gradients of 2 replicas"
    ]
