"""The private parts of TensorFlow 2.21 that tensorflow_hooks.py relies on.

If one of these fails, TensorFlow has changed there: adapt tensorflow_hooks.py
before raising the upper bound of the `tensorflow` dependency.
"""

import inspect

import pytest

from keras_lbreg.distribute import tensorflow_hooks
from tests.checks.replicas import mirrored_strategy

pytestmark = pytest.mark.tensorflow

CHECKED_WITH = ("2.21.", "2.22.")


def test_tensorflow_version_is_one_that_was_checked():
    import tensorflow as tf

    assert tf.__version__.startswith(CHECKED_WITH), (
        "read the hooks again with this version of TensorFlow"
    )


def test_waiting_replicas_are_found_by_their_cross_device_ops():
    import tensorflow as tf

    strategy = mirrored_strategy(3)
    ops = strategy.extended._cross_device_ops
    found = {}

    def merge(strategy):
        for asked in (ops, tf.distribute.ReductionToOneDevice()):
            frames = tensorflow_hooks.frames_of_waiting_replicas(asked)
            found[asked is ops] = [
                set(functions_above(frame)) for frame in frames
            ]

    def functions_above(frame):
        while frame is not None:
            yield frame.f_code.co_name
            frame = frame.f_back

    def waiting_replica():
        tf.distribute.get_replica_context().merge_call(merge)

    for run in (strategy.run, tf.function(strategy.run)):
        run(waiting_replica)
        assert len(found[True]) == 3
        assert all("merge_call" in names for names in found[True])
        assert found[False] == []
    assert tensorflow_hooks.frames_of_waiting_replicas(ops) == []


def test_the_class_is_read_where_tensorflow_ignores_the_object():
    strategy = mirrored_strategy(2)
    code = inspect.getsource(strategy.extended._get_cross_device_ops)
    ignoring, using = code.split("return self._collective_ops")
    assert "if not self._use_merge_call():" in ignoring
    assert "isinstance(self._cross_device_ops" in ignoring
    assert "isinstance(self._cross_device_ops" not in using
