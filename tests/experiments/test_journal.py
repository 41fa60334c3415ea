import pytest

from keras_lbreg.experiments.journal import (
    append_to_journal,
    read_journal,
    rewrite_journal,
)


def test_append_read_rewrite(tmp_path):
    path = tmp_path / "epochs.jsonl"
    assert read_journal(path) == []
    for epoch in (1, 2, 3):
        append_to_journal(path, {"epoch": epoch})
    assert [line["epoch"] for line in read_journal(path)] == [1, 2, 3]
    rewrite_journal(path, read_journal(path)[:2])
    assert path.read_text() == '{"epoch": 1}\n{"epoch": 2}\n'
    assert [p.name for p in tmp_path.iterdir()] == ["epochs.jsonl"]


@pytest.mark.parametrize("tail", ["{", '{"epoch": 2', '{"epoch": 2}', "\xff"])
def test_line_without_newline_is_left_out(tmp_path, tail):
    path = tmp_path / "epochs.jsonl"
    path.write_bytes(b'{"epoch": 1}\n' + tail.encode("latin-1"))
    assert read_journal(path) == [{"epoch": 1}]


@pytest.mark.parametrize("line", ["{", "[1]", "\xff", ""])
def test_damaged_line_is_an_error_with_its_number(tmp_path, line):
    path = tmp_path / "epochs.jsonl"
    path.write_bytes(b'{"epoch": 1}\n' + line.encode("latin-1") + b"\n{}\n")
    with pytest.raises(ValueError, match="line 2 is damaged"):
        read_journal(path)


def test_not_a_number_is_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        append_to_journal(tmp_path / "a.jsonl", {"loss": float("nan")})
