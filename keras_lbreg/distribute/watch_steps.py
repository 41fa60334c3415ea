"""No step lasts for ever: a worker that is alive but stuck is noticed."""

import logging
import threading

from keras_lbreg.distribute import coordination_hooks

logger = logging.getLogger("keras_lbreg")

LOOK_EVERY = 5.0
WARN_AFTER = 300.0


def watch_steps(timeout, worker):
    """Ends the communication of workers after a step that lasts too long.

    A worker that hangs, or does something alone, leaves the others in the
    middle of a step, which is one call of TensorFlow from Python. A thread
    looks every few seconds whether the thread that calls this function is still
    in the same call; it adds nothing to a step. Other threads, whose calls may
    last as long as they like, are not watched.

    Args:
        timeout: Seconds that a call of TensorFlow may last. What waits for
            other workers then ends in a `DeadlineExceededError`.
        worker: What this worker is called in messages.

    Returns:
        Function that ends the watch. Call it before Python ends.

    Example:

    >>> end = watch_steps(1800, "Worker 0 of 2")
    >>> end()

    Reference: `tf.distribute.MultiWorkerMirroredStrategy`.
    """
    stop = threading.Event()
    thread = threading.Thread(
        target=_watch,
        args=(threading.get_ident(), timeout, worker, stop),
        name="keras_lbreg.watch_steps",
        daemon=True,
    )
    thread.start()

    def end():
        stop.set()
        # It may have the last reference to tensors, which it must not delete
        # while Python ends: that would abort the process.
        if thread is not threading.current_thread():
            thread.join(10)

    return end


def _watch(thread, timeout, worker, stop):
    interval = min(LOOK_EVERY, timeout / 20)
    warn_after = min(WARN_AFTER, timeout / 2)
    call, looks, warned = None, 0, False
    while not stop.wait(interval):
        current = coordination_hooks.call_of_tensorflow(thread)
        same, call = current == call, current
        if call is None or not same:
            looks, warned = 0, False
            continue
        # Not the clock: all workers may have been suspended.
        looks += 1
        seconds = looks * interval
        if seconds >= timeout:
            message = (
                f"{worker} was in the same step for {timeout:g} s. Another "
                "worker is stuck, or does something alone for so long, or the "
                "data does not come: look at what each of them does, then "
                "start all again. If steps may take so long, pass a larger "
                f"`step_timeout`. Received: step_timeout={timeout:g}"
            )
            logger.error(message)
            coordination_hooks.abort_communication(message)
            return
        if seconds >= warn_after and not warned:
            logger.warning(
                "%s has been in the same step for %.0f s: it waits for "
                "another worker, or the step is long. It is ended in %.0f s.",
                worker,
                seconds,
                timeout - seconds,
            )
            warned = True
