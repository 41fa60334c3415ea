import keras
import numpy as np
import pytest

from keras_lbreg.optimizers import replicas
from tests.checks.replicas import mirrored_strategy


def test_one_device():
    assert replicas.replica_count() == 1
    assert replicas.replica_index() == 0


@pytest.mark.tensorflow
def test_replicas_know_themselves():
    strategy = mirrored_strategy(4)
    result = strategy.run(
        lambda: (replicas.replica_count(), replicas.replica_index())
    )
    assert [
        (int(count), int(index))
        for count, index in zip(
            strategy.experimental_local_results(result[0]) * 4,
            strategy.experimental_local_results(result[1]),
            strict=False,
        )
    ] == [(4, 0), (4, 1), (4, 2), (4, 3)]


@pytest.mark.tensorflow
def test_cross_replica_context_is_refused():
    with (
        mirrored_strategy(2).scope(),
        pytest.raises(RuntimeError, match=r"strategy.run"),
    ):
        replicas.replica_count()


@pytest.mark.tensorflow
@pytest.mark.parametrize("value", [1.0, -1.0])
def test_condition_around_communication(value):
    import tensorflow as tf

    strategy = mirrored_strategy(2)
    with strategy.scope():
        total = keras.Variable(0.0)
        skipped = keras.Variable(0.0)

    def add(tensors):
        context = tf.distribute.get_replica_context()
        summed = context.all_reduce("SUM", tensors[0])
        context.merge_call(
            lambda strategy, v: strategy.extended.update(
                total.value, lambda variable, v: variable.assign_add(v), (v,)
            ),
            args=(summed,),
        )

    def count_skipped(tensors):
        skipped.assign_add(1.0)

    @tf.function
    def step(sign):
        strategy.run(
            lambda: replicas.cond_on_all_replicas(
                lambda tensors: tensors[0] > 0,
                add,
                count_skipped,
                [sign * (1.0 + tf.cast(replicas.replica_index(), sign.dtype))],
            )
        )

    step(tf.constant(value))
    expected = (3.0, 0.0) if value > 0 else (0.0, 1.0)
    np.testing.assert_allclose((total.numpy(), skipped.numpy()), expected)


@pytest.mark.tensorflow
def test_called_once_for_all_replicas():
    import tensorflow as tf

    strategy = mirrored_strategy(2)
    calls = []

    def call():
        calls.append(tf.distribute.in_cross_replica_context())

    strategy.run(lambda: replicas.call_for_all_replicas(call))
    replicas.call_for_all_replicas(call)
    assert calls == [True, False]


@pytest.mark.tensorflow
def test_under_strategy():
    assert not replicas.under_strategy()
    seen = []
    mirrored_strategy(1).run(lambda: seen.append(replicas.under_strategy()))
    assert seen == [True]
