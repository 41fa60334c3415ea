"""The private parts of TensorFlow 2.21 that coordination_hooks.py relies on.

If one of these fails, TensorFlow has changed there: adapt coordination_hooks.py
before raising the upper bound of the `tensorflow` dependency.
"""

import inspect

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
