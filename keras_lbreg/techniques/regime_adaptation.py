"""Regime adaptation: as many updates as the small batch gets."""

from keras_lbreg.techniques.technique import Technique


def stretch(hp, ctx):
    return {"stretch": True}


REGIME_ADAPTATION = Technique(
    name="regime_adaptation",
    title="Regime adaptation",
    symbol="RA",
    paper="Hoffer et al. 2017, https://arxiv.org/abs/1705.08741",
    card="regime_adaptation",
    public_names=("Regime",),
    defaults={},
    search_space={},
    helps_when="time is there: it processes B_L / B_S times the samples",
    regime=stretch,
)
