import subprocess

import pytest

from keras_lbreg.processes import guardian
from tests.checks.processes import all_end, is_running, python


@pytest.fixture
def sleeper():
    process = subprocess.Popen(
        python("import time; time.sleep(60)"), process_group=0
    )
    yield process
    process.kill()
    process.wait()


def test_what_is_guarded_is_killed_in_the_end(sleeper):
    with guardian.Guardian() as guard:
        guard.guard(sleeper.pid)
        assert is_running(sleeper.pid)
    assert all_end([sleeper.pid])


def test_what_is_forgotten_lives(sleeper):
    with guardian.Guardian() as guard:
        guard.guard(sleeper.pid)
        guard.forget(sleeper.pid)
    # It has ended and can do no more harm.
    assert is_running(sleeper.pid)


def test_a_dead_guardian_does_not_stop_the_launcher(sleeper):
    with guardian.Guardian() as guard:
        guard._process.kill()
        guard._process.wait()
        guard.guard(sleeper.pid)
    assert is_running(sleeper.pid)
