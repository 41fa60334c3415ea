"""What the constructor of the strategy says, in a process of its own.

    python -m tests.checks.cluster_start START_TIMEOUT [before]

prints one line. `before` uses TensorFlow before.
"""

import sys

import tensorflow as tf

import keras_lbreg


def main(start_timeout, before=None):
    if before:
        tf.constant(0)
    try:
        strategy = keras_lbreg.MultiWorkerMirroredStrategy(
            start_timeout=float(start_timeout), heartbeat_timeout=5
        )
        keras_lbreg.distribute.broadcast_from_chief(strategy, [1])
    except (OSError, RuntimeError, ValueError, tf.errors.OpError) as error:
        text = str(error).replace("\n", " ")
        print(f"said {type(error).__name__}: {text}", flush=True)
    else:
        print("said nothing", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
