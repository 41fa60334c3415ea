"""The private parts of TensorFlow 2.21 that coordination_hooks.py relies on.

If one of these fails, TensorFlow has changed there: adapt coordination_hooks.py
before raising the upper bound of the `tensorflow` dependency.
"""

import inspect
import itertools
import threading
import time

import keras
import pytest

pytestmark = pytest.mark.tensorflow

CHECKED_WITH = ("2.21.", "2.22.")


@pytest.fixture
def hooks():
    from keras_lbreg.distribute import coordination_hooks

    return coordination_hooks


def test_tensorflow_version_is_one_that_was_checked():
    import tensorflow as tf

    assert tf.__version__.startswith(CHECKED_WITH), (
        "read the hooks again with this version of TensorFlow"
    )


def test_a_process_that_has_used_tensorflow_is_refused(hooks):
    import tensorflow as tf

    tf.constant(0)
    with pytest.raises(RuntimeError, match="already running"):
        hooks.configure_coordination(tf.train.ClusterSpec({}), 1, 1)


class Context:
    """A context of a process in which nothing has been computed."""

    _context_handle = None

    def configure_coordination_service(self, **kwargs):
        self.configuration = kwargs


def configuration(hooks, monkeypatch, jobs):
    import tensorflow as tf

    fresh = Context()
    monkeypatch.setattr(hooks.context, "context", lambda: fresh)
    hooks.configure_coordination(tf.train.ClusterSpec(jobs), 20, 3)
    return fresh.configuration


def test_the_real_context_takes_what_it_is_given(hooks, monkeypatch):
    given = configuration(hooks, monkeypatch, {"worker": ["a:1", "b:2"]})
    monkeypatch.undo()
    method = hooks.context.context().configure_coordination_service
    inspect.signature(method).bind(**given)
    assert given["cluster_register_timeout_in_ms"] == 20000
    assert given["heartbeat_timeout_in_ms"] == 3000
    [job] = given["coordinated_jobs"]
    assert (job.name, job.num_tasks) == ("worker", 2)
    assert given["service_leader"] == "/job:worker/replica:0/task:0"


def test_the_chief_leads_and_an_evaluator_is_not_waited_for(hooks, monkeypatch):
    given = configuration(
        hooks,
        monkeypatch,
        {"chief": ["a:1"], "worker": ["b:2"], "evaluator": ["c:3"]},
    )
    assert [job.name for job in given["coordinated_jobs"]] == [
        "chief",
        "worker",
    ]
    assert given["service_leader"] == "/job:chief/replica:0/task:0"


def test_tensorflow_leaves_a_configuration_alone():
    from tensorflow.python.distribute import collective_all_reduce_strategy

    code = inspect.getsource(
        collective_all_reduce_strategy.CollectiveAllReduceExtended
    )
    before, _, after = code.partition("configure_coordination_service(")
    assert after
    assert "coordination_service is None" in before


def test_random_state_is_looked_at_without_drawing(hooks):
    import tensorflow as tf

    def draws():
        return tf.random.uniform((3,)).numpy().tolist()

    keras.utils.set_random_seed(1)
    state = hooks.random_state()
    assert hooks.random_state() == state
    first = draws()
    assert hooks.random_state() != state
    keras.utils.set_random_seed(1)
    assert hooks.random_state() == state
    assert draws() == first
    keras.utils.set_random_seed(2)
    assert hooks.random_state() != state


def test_no_seed_is_no_state(hooks):
    import tensorflow as tf

    tf.random.set_seed(None)
    assert hooks.random_state() is None
    tf.random.set_seed(0)
    assert hooks.random_state() is not None


@pytest.fixture
def queue():
    """An empty queue: who takes from it waits until it is closed."""
    import tensorflow as tf

    queue = tf.queue.FIFOQueue(1, "float32")
    yield queue
    queue.close(cancel_pending_enqueues=True)


def call_of(hooks, thread, wanted=True):
    """The thread's call, as soon as there is one, or none."""
    for _ in range(500):
        call = hooks.call_of_tensorflow(thread.ident)
        if (call is not None) == wanted:
            return call
        time.sleep(0.01)
    raise RuntimeError(f"after 5 s: {call}")


@pytest.mark.parametrize("compiled", [False, True])
def test_a_thread_that_waits_in_tensorflow_is_seen(hooks, queue, compiled):
    import tensorflow as tf

    def wait():
        return queue.dequeue()

    go_on = threading.Event()

    def work():
        with pytest.raises(tf.errors.OutOfRangeError):
            (tf.function(wait) if compiled else wait)()
        go_on.wait(10)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    time.sleep(1 if compiled else 0)  # no more than tracing
    call = call_of(hooks, thread)
    time.sleep(0.1)
    assert call_of(hooks, thread) == call
    queue.close(cancel_pending_enqueues=True)
    assert call_of(hooks, thread, wanted=False) is None
    go_on.set()
    thread.join()


def test_a_step_after_another_is_another_call(hooks):
    import tensorflow as tf

    matrix = tf.ones((50, 50))
    stop = threading.Event()

    def work():
        while not stop.is_set():
            tf.linalg.matmul(matrix, matrix)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    calls = [call_of(hooks, thread)]
    for _ in range(20):
        time.sleep(0.02)
        calls.append(call_of(hooks, thread))
    stop.set()
    thread.join()
    # On a busy machine the thread may have to wait for its turn.
    assert sum(a != b for a, b in itertools.pairwise(calls)) > 10


def test_what_python_does_is_no_call(hooks):
    assert hooks.call_of_tensorflow(threading.get_ident()) is None
    assert hooks.call_of_tensorflow(0) is None


def test_tensorflow_ends_communication_with_a_code_and_a_message(hooks):
    # test_watch_steps.py sees it happen, in a cluster.
    method = hooks.context.context().abort_collective_ops
    assert [*inspect.signature(method).parameters] == ["code", "message"]
