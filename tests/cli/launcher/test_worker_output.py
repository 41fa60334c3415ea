import pytest

from keras_lbreg.cli.launcher.worker_output import WorkerOutput


def test_every_line_has_its_worker(capsysbinary):
    with WorkerOutput(2) as output:
        output.write(0, "stdout", b"first ")
        output.write(1, "stdout", "zwölf\nhalf".encode())
        output.write(0, "stdout", b"line\nand\n")
        output.write(0, "stderr", b"wrong\n")
        output.flush(1)
        output.flush(0)
    printed = capsysbinary.readouterr()
    assert printed.out.decode() == (
        "[worker 1] zwölf\n"
        "[worker 0] first line\n"
        "[worker 0] and\n"
        "[worker 1] half\n"
    )
    assert printed.err == b"[worker 0] wrong\n"


def test_workers_have_colours_where_the_terminal_has(capsysbinary, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    with WorkerOutput(2) as output:
        output.write(0, "stdout", b"x\n")
        output.write(1, "stdout", b"x\n")
    first, second = capsysbinary.readouterr().out.splitlines()
    assert first == b"\x1b[36m[worker 0]\x1b[0m x"
    assert second == b"\x1b[35m[worker 1]\x1b[0m x"


def test_log_files_hold_what_came_and_are_continued(tmp_path, capsysbinary):
    folder = tmp_path / "new" / "logs"
    for text in (b"1\r2\r", b"half a line"):
        with WorkerOutput(2, folder) as output:
            output.begin("lbreg train")
            output.write(1, "stdout", text)
            output.write(1, "stderr", b"!\n")
    assert {path.name for path in folder.iterdir()} == {
        "worker-0.log",
        "worker-1.log",
    }
    log = (folder / "worker-1.log").read_bytes()
    heads = [line for line in log.splitlines() if line.startswith(b"===")]
    assert [head.partition(b": ")[2] for head in heads] == [b"lbreg train"] * 2
    assert log.endswith(b"half a line!\n")
    assert b"1\r2\r!\n" in log
    assert log.count(b"lbreg") == 2


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "logs").write_text("")
    with pytest.raises(FileExistsError), WorkerOutput(1, tmp_path / "logs"):
        pass
