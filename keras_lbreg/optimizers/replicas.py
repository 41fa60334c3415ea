"""What the calling replica knows of the others, on any backend."""

import keras

tf = None  # Other backends have no replicas.
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf


def replica_count():
    """Number of replicas in sync; 1 under JAX, which has none."""
    context = _replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def replica_index():
    """Index of the calling replica, an integer or an integer tensor."""
    context = _replica_context()
    return 0 if context is None else context.replica_id_in_sync_group


def replicas_of_strategy():
    """Number of replicas of the strategy in scope, in any context."""
    return tf.distribute.get_strategy().num_replicas_in_sync if tf else 1


def under_strategy():
    """Whether a `tf.distribute` strategy is at work, even of one replica."""
    return tf is not None and tf.distribute.has_strategy()


def all_reduce(operation, tensor):
    """The `"SUM"` or `"MEAN"` of all replicas' tensors, on each of them."""
    context = _replica_context()
    return tensor if context is None else context.all_reduce(operation, tensor)


def cond_on_all_replicas(predicate, true_fn, false_fn, tensors):
    """Runs one of two functions of `tensors`, the same one on every replica."""
    # `tf.cond` around a function that communicates has to be in the
    # cross-replica context: TensorFlow refuses a `merge_call` inside of a
    # replica's own `tf.cond`.
    if tf.__internal__.distribute.strategy_supports_no_merge_call():
        keras.ops.cond(
            predicate(tensors),
            lambda: true_fn(tensors),
            lambda: false_fn(tensors),
        )
        return

    def merge(strategy, tensors):
        on_each = strategy.extended.call_for_each_replica
        decisions = on_each(predicate, args=(tensors,))
        keras.ops.cond(
            strategy.experimental_local_results(decisions)[0],
            lambda: on_each(true_fn, args=(tensors,)),
            lambda: on_each(false_fn, args=(tensors,)),
        )

    tf.distribute.get_replica_context().merge_call(merge, args=(tensors,))


def call_for_all_replicas(function):
    """Calls a function once, in the cross-replica context if there is one."""
    tf.__internal__.distribute.interim.maybe_merge_call(
        lambda strategy: function(), tf.distribute.get_strategy()
    )


def without_autograph(method):
    """Keeps AutoGraph from rewriting a method; Keras's own are exempt."""
    return tf.autograph.experimental.do_not_convert(method) if tf else method


def _replica_context():
    if tf is None:
        return None
    if tf.distribute.in_cross_replica_context():
        raise RuntimeError(
            "Gradients are applied by the replicas. Expected a call inside of "
            "`strategy.run(...)`. Received: a call in the cross-replica "
            "context of a `tf.distribute` strategy."
        )
    return tf.distribute.get_replica_context()
