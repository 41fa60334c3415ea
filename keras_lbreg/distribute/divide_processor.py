"""Virtual devices, to try strategies without the hardware."""


def divide_processor(count, backend):
    """Make the processor look like several devices, and hide all GPUs.

    Nothing may have been computed in this process before.

    Args:
        count: Number of virtual devices.
        backend: `"tensorflow"` or `"jax"`, the running one.

    Raises:
        ValueError: `count` is not positive.

    Example:

    >>> divide_processor(4, keras.backend.backend())

    Reference: `tf.config.set_logical_device_configuration`,
    `jax_num_cpu_devices`.
    """
    if count < 1:
        raise ValueError(
            "Invalid value for option `--virtual-devices`. Expected an integer "
            f"of at least 1. Received: --virtual-devices {count}"
        )
    if backend == "jax":
        import jax

        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", count)
        return
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * count,
    )
