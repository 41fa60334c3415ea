"""Contract with Keras's private scope question, checked on Keras 3.15."""

import keras

from keras_lbreg.layers._stateless import in_stateless_scope


def test_it_tells_whether_a_stateless_scope_is_open():
    assert not in_stateless_scope()
    with keras.StatelessScope():
        assert in_stateless_scope()
    assert not in_stateless_scope()
