"""The wrappers where TensorFlow has no merge calls.

Under XLA with GPUs alone, `MirroredStrategy` lets no replica call into the
cross-replica context: each one does its collectives and updates by itself. The
same is switched on here, as TensorFlow's own tests do, for virtual CPUs.
"""

import json

import pytest

from tests.checks import forked
from tests.checks.cluster import ROOT

pytestmark = pytest.mark.tensorflow

# In a process of its own: collectives take one group of devices in a process.
PROGRAM = """
import json
import tests.conftest
tests.conftest.start_backend()
import keras
import keras_lbreg
from tests.checks import replicas

def optimizer():
    lars = keras_lbreg.LARS(0.5, global_clipnorm=1.0)
    return keras_lbreg.GradientNoise(
        keras_lbreg.GradientMix(lars, seed=3), alpha=1e-3, seed=4
    )

with_merge_calls = replicas.mirrored_strategy

def without_merge_calls(*args):
    strategy = with_merge_calls(*args)
    strategy.extended._use_merge_call = lambda: False
    return strategy

expected = replicas.descend(optimizer, 2, steps=8)
replicas.mirrored_strategy = without_merge_calls
found = replicas.descend(optimizer, 2, steps=8)
print(json.dumps([expected.tolist(), found.tolist()]))
"""


def test_replicas_take_the_same_steps_without_merge_calls(tmp_path):
    output = tmp_path / "output"
    # A collective holds its thread until the other replica is there.
    env = {"TF_NUM_INTEROP_THREADS": "8"}
    process = forked.start(["-c", PROGRAM], output, env, ROOT)
    assert forked.wait(process, 240) == 0, output.read_text()
    printed = output.read_text()
    # TensorFlow says that it takes its own collectives: so it was there.
    assert "CollectiveAllReduce" in printed
    [line] = [x for x in printed.splitlines() if x.startswith("[[")]
    expected, found = json.loads(line)
    assert found == pytest.approx(expected, abs=1e-5)
    assert found != pytest.approx([1.0] * 5 + [0.0], abs=0.1)
