"""The training step of every technique, as XLA gets it from TensorFlow.

A TPU runs what XLA compiles: static shapes, operations that XLA has, and
nothing of the host's. There is none here, so the program is looked at.
"""

import keras
import pytest

from keras_lbreg.random.mixing_weights import mixing_weights
from tests.checks import hlo, train_steps

pytestmark = pytest.mark.tensorflow
one_replica = pytest.mark.filterwarnings(
    "ignore:`GradientMix` has no effect on one replica"
)


def program(function, *args, stage="hlo"):
    """The HLO that TensorFlow hands to XLA for a call of `function`."""
    import tensorflow as tf

    args = [tf.convert_to_tensor(arg) for arg in args]
    compiled = tf.function(function, jit_compile=True)
    return compiled.experimental_get_compiler_ir(*args)(stage=stage)


def step_program(name):
    model = train_steps.compiled_model(name)
    return program(lambda *batch: model.train_step(batch), *train_steps.batch())


@one_replica
@pytest.mark.parametrize("name", train_steps.STEPS)
def test_the_step_is_fit_for_a_tpu(name):
    text = step_program(name)
    names = {operation for operation, _ in hlo.instructions(text)}
    assert {"convolution", "dot"} <= names
    assert hlo.unfit_for_tpu(text) == []


@one_replica
def test_the_step_in_bfloat16_is_fit_for_a_tpu():
    keras.config.set_dtype_policy("mixed_bfloat16")
    text = step_program("all_both")
    assert "bf16[" in text
    assert hlo.unfit_for_tpu(text) == []


@pytest.mark.parametrize(
    "law",
    [{"concentration": 0.3}, {"concentration": 2.0}, {"law": "gaussian"}],
)
def test_the_weights_of_gradient_mix_are_drawn_without_a_loop(law):
    text = program(
        lambda seed, step: mixing_weights(seed, step, 8, **law), 1, 2
    )
    assert hlo.unfit_for_tpu(text) == []
    assert "while" not in {name for name, _ in hlo.instructions(text)}


def test_xla_lacks_the_gamma_sampler_that_dirichlet_weights_suggest():
    import tensorflow as tf

    with pytest.raises(ValueError, match="RandomGamma"):
        program(lambda c: tf.random.gamma([8], c), 1.0)


def test_a_call_of_the_host_does_not_compile():
    import tensorflow as tf

    with pytest.raises(ValueError, match="PyFunc"):
        program(lambda x: tf.numpy_function(lambda x: x, [x], tf.float32), 1.0)


def test_dynamic_shapes_are_seen():
    import tensorflow as tf

    text = program(lambda x: tf.boolean_mask(x, x > 0), [1.0, -1.0])
    assert "[<=2]" in hlo.unfit_for_tpu(text)


def test_operations_off_the_device_are_seen():
    text = (
        "  %tokens = token[] after-all()\n"
        "  %r.1 = (f32[4]{0}, u32[], token[]) recv(%tokens), channel_id=1\n"
        '  ROOT %c = f32[4]{0} custom-call(%x), custom_call_target="host"\n'
    )
    assert hlo.unfit_for_tpu(text) == ["custom-call", "recv"]
