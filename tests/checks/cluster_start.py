"""What the constructor of the strategy says, in a process of its own.

    python -m tests.checks.cluster_start START_TIMEOUT [before | SECONDS]

prints one line. `before` uses TensorFlow before. The workers of a cluster that
begins communicate for so many seconds.
"""

import sys
import time

import tensorflow as tf

import keras_lbreg


def main(start_timeout, then="0"):
    if then == "before":
        tf.constant(0)
        then = 0
    try:
        strategy = keras_lbreg.MultiWorkerMirroredStrategy(
            start_timeout=float(start_timeout), heartbeat_timeout=5
        )
        # By the chief's clock: all stop together.
        end = time.monotonic() + float(then)
        going = True
        while going:
            [going] = keras_lbreg.distribute.broadcast_from_chief(
                strategy, [time.monotonic() < end]
            )
            time.sleep(0.2)
    except (OSError, RuntimeError, ValueError, tf.errors.OpError) as error:
        text = str(error).replace("\n", " ")
        print(f"said {type(error).__name__}: {text}", flush=True)
    else:
        print("said nothing", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
