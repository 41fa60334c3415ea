from keras_lbreg.processes.thread_settings import (
    available_cores,
    thread_settings,
)


def test_cores_are_divided():
    share = max(1, available_cores() // 2)
    assert set(thread_settings(2, environ={}).values()) == {str(share)}
    assert set(thread_settings(10_000, environ={}).values()) == {"1"}


def test_the_users_threads_count_more_than_ours_and_an_option_most():
    given = {"OMP_NUM_THREADS": "7"}
    settings = thread_settings(10_000, environ=given)
    assert settings["OMP_NUM_THREADS"] == "7"
    assert settings["TF_NUM_INTRAOP_THREADS"] == "1"
    assert set(thread_settings(2, 5, environ=given).values()) == {"5"}
