"""The versions whose private parts were checked, and what is said of newer."""

import pathlib
import re
import sys
import warnings

import keras
import pytest

from keras_lbreg._tested_versions import UNTESTED_FROM, warn_if_newer

PYPROJECT = pathlib.Path(__file__).parent.parent / "pyproject.toml"


def test_installed_versions_are_tested_ones():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_newer()


@pytest.mark.parametrize("version", ["3.16.0", "3.16.0.dev1", "4.0"])
def test_newer_keras_is_named(monkeypatch, version):
    monkeypatch.setattr(keras, "__version__", version)
    with pytest.warns(UserWarning, match=f"below 3.16. Found keras {version}"):
        warn_if_newer()


@pytest.mark.tensorflow
def test_newer_tensorflow_is_named(monkeypatch):
    monkeypatch.setattr(sys.modules["tensorflow"], "__version__", "2.23.1")
    with pytest.warns(UserWarning, match=r"Found tensorflow 2.23.1"):
        warn_if_newer()


@pytest.mark.parametrize("name", UNTESTED_FROM)
def test_installation_keeps_to_them(name):
    limit = ".".join(map(str, UNTESTED_FROM[name]))
    text = PYPROJECT.read_text()
    assert re.search(rf'"{name}>=[\d.]+,<{re.escape(limit)}"', text)
