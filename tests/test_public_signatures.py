"""Public classes and functions list and document every argument."""

import inspect
import re

import keras
import pytest

import keras_lbreg as lbreg

PUBLIC = {
    name: getattr(lbreg, name)
    for name in lbreg.__all__
    if inspect.isclass(getattr(lbreg, name))
    or inspect.isfunction(getattr(lbreg, name))
}

# Ours, and the class of Keras whose arguments it takes.
EXTENDED = {
    "DRegConv2D": keras.layers.Conv2D,
    "DRegDense": keras.layers.Dense,
    "DRegDepthwiseConv2D": keras.layers.DepthwiseConv2D,
    "GhostBatchNormalization": keras.layers.BatchNormalization,
    "LARS": keras.optimizers.SGD,
    "CoupledSGD": keras.optimizers.SGD,
}
# Refused or meaningless, so that there is nothing to list.
REFUSED = {"lora_rank", "lora_alpha", "quantization_config", "synchronized"}
REFUSED |= {"renorm", "renorm_clipping", "renorm_momentum", "nesterov"}


def parameters(value):
    function = value.__init__ if inspect.isclass(value) else value
    found = inspect.signature(function).parameters
    return {name: p for name, p in found.items() if name != "self"}


@pytest.mark.parametrize("name", EXTENDED)
def test_arguments_of_keras_are_listed(name):
    ours = parameters(PUBLIC[name])
    assert not [p for p in ours if ours[p].kind is ours[p].VAR_POSITIONAL]
    theirs = parameters(EXTENDED[name])
    missing = set(theirs) - set(ours) - REFUSED - {"kwargs"}
    assert not missing


@pytest.mark.parametrize("name", EXTENDED)
def test_arguments_of_keras_stand_in_its_order(name):
    """What is positional in Keras means the same here."""
    if issubclass(PUBLIC[name], keras.optimizers.Optimizer):
        pytest.skip("Keras's optimizers order theirs each in its own way")
    positional = [
        p
        for p, parameter in parameters(EXTENDED[name]).items()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        and p not in REFUSED
    ]
    ours = [p for p in parameters(PUBLIC[name]) if p in positional]
    assert ours == [p for p in positional if p in ours]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_argument_is_documented(name):
    document = inspect.getdoc(PUBLIC[name])
    _, _, arguments = document.partition("\nArgs:")
    undocumented = [
        p
        for p in parameters(PUBLIC[name])
        if not re.search(rf"^    [*\w, ]*\b{p}\b[*\w, ]*:", arguments, re.M)
    ]
    assert not undocumented


@pytest.mark.parametrize(
    "name",
    [n for n, v in PUBLIC.items() if inspect.isclass(v)],
)
def test_a_layer_has_every_section(name):
    if not issubclass(PUBLIC[name], keras.layers.Layer):
        pytest.skip("not a layer")
    document = inspect.getdoc(PUBLIC[name])
    for section in ("Args:", "Call arguments:", "Example:", "Reference:"):
        assert f"\n{section}\n" in document
    if not issubclass(PUBLIC[name], keras.Model):
        assert "\nInput shape:\n" in document
        assert "\nOutput shape:\n" in document
