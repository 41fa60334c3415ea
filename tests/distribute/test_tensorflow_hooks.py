"""The private parts of TensorFlow 2.21 that tensorflow_hooks.py relies on.

If one of these fails, TensorFlow has changed there. What the coordination
service does with missing, doubled and dead workers, and that the random states
of workers are compared, the clusters of the other modules show.
"""

import keras
import pytest

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def hooks():
    from keras_lbreg.distribute import tensorflow_hooks

    return tensorflow_hooks


def test_a_process_that_has_used_tensorflow_is_refused(hooks):
    import tensorflow as tf

    tf.constant(0)
    with pytest.raises(RuntimeError, match="already running"):
        hooks.configure_coordination(tf.train.ClusterSpec({}), 1, 1)


@pytest.mark.parametrize(
    ("jobs", "coordinated", "leader"),
    [
        (
            {"worker": ["a:1", "b:2"]},
            [("worker", 2)],
            "/job:worker/replica:0/task:0",
        ),
        # An evaluator is not waited for.
        (
            {"chief": ["a:1"], "worker": ["b:2"], "evaluator": ["c:3"]},
            [("chief", 1), ("worker", 1)],
            "/job:chief/replica:0/task:0",
        ),
    ],
)
def test_a_fresh_context_is_configured(
    hooks, monkeypatch, jobs, coordinated, leader
):
    import tensorflow as tf

    # One in which nothing has been computed.
    fresh = type(hooks.context.context())()
    monkeypatch.setattr(hooks.context, "context", lambda: fresh)
    hooks.configure_coordination(tf.train.ClusterSpec(jobs), 20, 3)
    service = fresh.config.experimental.coordination_config
    assert service.cluster_register_timeout_in_ms == 20000
    assert service.cluster_register_with_barrier
    assert service.heartbeat_timeout_in_ms == 3000
    assert service.service_leader == leader
    found = [(j.name, j.num_tasks) for j in service.coordinated_job_list]
    assert found == coordinated


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
