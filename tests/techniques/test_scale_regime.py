import numpy as np
import pytest

from keras_lbreg import Regime
from keras_lbreg.techniques import Context
from keras_lbreg.techniques.scale_regime import scale_regime

REGIME = Regime(16, 0.1, epochs=8, milestones={4: 0.01})
CONTEXT = Context(seed=0, base_batch_size=16, batch_size=64)
SCALING = {"lr_scaling": {"rule": "sqrt", "warmup_epochs": 0}}


@pytest.mark.parametrize(
    ("techniques", "factor", "rate", "epochs"),
    [
        ({}, 1.0, 0.1, 8),
        ({}, 0.5, 0.05, 8),
        (SCALING, 1.0, 0.2, 8),
        (SCALING, 3.0, 0.6, 8),
        ({**SCALING, "regime_adaptation": {}}, 1.0, 0.2, 32),
        # What says nothing about the regime leaves it as it is.
        ({"dreg": {"weight": 1.0}}, 1.0, 0.1, 8),
    ],
)
def test_rates_and_epochs(techniques, factor, rate, epochs):
    regime = scale_regime(REGIME, techniques, CONTEXT, factor)
    assert regime.base_batch_size == 64
    assert regime.epochs == epochs
    np.testing.assert_allclose(regime.base_learning_rate, rate)
    [(epoch, dropped)] = regime.milestones
    assert epoch == epochs // 2
    np.testing.assert_allclose(dropped, rate / 10)


def test_the_factor_is_said():
    for why, said in ((None, "x2"), ("control", "control")):
        regime = scale_regime(REGIME, {}, CONTEXT, 2.0, why)
        assert regime.changes[-1] == f"learning rate 0.1 -> 0.2 ({said})"
    assert len(scale_regime(REGIME, {}, CONTEXT).changes) == 1
