"""Which figures a search has, and what they say of themselves."""

from keras_lbreg.search.pages.search_figures import make_search_figures
from keras_lbreg.search.read_search import read_search
from tests.search.fake_search import write_search


def captions(folder, **how):
    figures = make_search_figures(read_search(write_search(folder, **how)))
    return {figure.name: figure.caption for figure in figures}


def test_three_figures(tmp_path):
    found = captions(tmp_path)
    assert list(found) == ["progress", "slices", "parallel"]
    assert "The grey band is the noise" in found["progress"]
    assert "in any of the 20 panels" in found["slices"]
    assert "Of 20 hyperparameters the 8" in found["parallel"]
    assert not any("stopped early" in text for text in found.values())


def test_captions_speak_of_what_is_shown(tmp_path):
    found = captions(tmp_path, executions=1, short=range(30))
    assert "band" not in found["progress"]
    assert "stopped early" in found["progress"]
    assert "stopped early" in found["slices"]


def test_few_trials(tmp_path):
    assert captions(tmp_path, trials=2, failed=(0, 1)) == {}
    assert list(captions(tmp_path, trials=1, failed=())) == ["progress"]
