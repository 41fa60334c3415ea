"""What the constructor says before TensorFlow starts, in one fresh process.

    python -m tests.checks.cluster_processes

prints one message in a line, for each way that it fails.
"""

import json
import os
import socket

import keras_lbreg
from keras_lbreg.cli.launcher.free_ports import free_ports


def failure(tf_config, **kwargs):
    os.environ.pop("TF_CONFIG", None)
    if tf_config is not None:
        os.environ["TF_CONFIG"] = tf_config
    try:
        keras_lbreg.MultiWorkerMirroredStrategy(**kwargs)
    except (OSError, RuntimeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def main():
    ports = free_ports(2)
    addresses = [f"127.0.0.1:{port}" for port in ports]
    config = json.dumps(
        {
            "cluster": {"worker": addresses},
            "task": {"type": "worker", "index": 0},
        }
    )
    messages = {"wrong TF_CONFIG": failure("{")}
    with socket.create_server(("127.0.0.1", ports[0])):
        messages["port in use"] = failure(config, start_timeout=1)
    # A failure leaves nothing behind that would stand in the way.
    messages["nobody comes"] = failure(config, start_timeout=1)
    import tensorflow as tf

    tf.constant(0)
    messages["too late"] = failure(config)
    messages["too late, alone"] = failure(None)
    print(json.dumps(messages))


if __name__ == "__main__":
    main()
