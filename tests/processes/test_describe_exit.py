import pytest

from keras_lbreg.processes.describe_exit import describe_exit


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (1, "ended with exit code 1"),
        (-9, "was killed by SIGKILL (out of memory?)"),
        (-11, "was killed by SIGSEGV"),
        (-40, "was killed by signal 40"),
    ],
)
def test_exit_codes_in_words(code, text):
    assert describe_exit(code) == text
