from keras_lbreg.techniques import get
from keras_lbreg.techniques.hooks import hooks


def test_hooks_come_in_the_registers_order_with_their_settings():
    techniques = {
        "dreg": {"weight": 1.0},
        "lr_scaling": {"rule": "sqrt"},
        "ghost_batch_norm": {"ghost_batch_size": 8},
    }
    assert hooks(techniques, "model") == [
        (get("ghost_batch_norm").model, {"ghost_batch_size": 8}),
        (get("dreg").model, {"weight": 1.0}),
    ]
    assert hooks(techniques, "regime") == [
        (get("lr_scaling").regime, {"rule": "sqrt"})
    ]
    assert hooks(techniques, "optimizer") == []
