"""Pages and the files they are written to."""

import pytest

from keras_lbreg.experiments.page import render_page, write_file


def test_a_template_may_stand_in_another_package():
    # It extends the page of the experiments.
    with pytest.raises(Exception, match=r"undefined"):
        render_page("search_report.html.j2", {}, "keras_lbreg.search.pages")
    with pytest.raises(Exception, match=r"search_report"):
        render_page("search_report.html.j2", {})


def test_a_file_is_replaced_at_once(tmp_path):
    file = tmp_path / "new" / "page.html"
    write_file(file, b"one")
    before = file.open("rb")
    write_file(file, b"two")
    with before:
        # Who had it open reads the old one to its end.
        assert before.read() == b"one"
    assert file.read_bytes() == b"two"
    assert list(file.parent.iterdir()) == [file]
