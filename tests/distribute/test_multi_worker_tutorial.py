"""TensorFlow's tutorial for several workers, moved to Keras 3, runs."""

import keras
import numpy as np
import pytest

import keras_lbreg as lbreg
from tests.checks.cluster import ROOT, run_processes, tf_configs

pytestmark = pytest.mark.tensorflow

SCRIPT = ROOT / "docs" / "examples" / "multi_worker_with_keras.py"


def test_tutorial(tmp_path):
    texts = run_processes(
        [[str(SCRIPT), str(tmp_path)]] * 2, tf_configs(2), 200
    )
    for text in texts:
        assert text.startswith("exit status 0"), text
        assert "Epoch 3/3" in text
    # All workers tell the same, up to the milliseconds a step has taken.
    ends = [text[text.rindex("accuracy:") :].split()[:5] for text in texts]
    assert ends[0] == ends[1]
    # The backup is deleted when training ends.
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]
    model = keras.saving.load_model(tmp_path / "model.keras")
    data = lbreg.data.load_dataset("digits")
    scores = model.predict(data.x_val / data.x_train.max(), verbose=0)
    assert np.mean(scores.argmax(-1) == data.y_val) > 0.3
