"""Data parallelism for batches that the devices do not divide."""

import keras


class DataParallel(keras.distribution.DataParallel):
    """`keras.distribution.DataParallel` that copies a batch it cannot divide.

    JAX refuses to divide 773 samples among 4 devices. Training batches are
    checked beforehand; a validation set has the size it has. Each device then
    evaluates the whole batch, with the same result.

    Args:
        devices: Names of the devices, as `keras.distribution.list_devices`
            gives them.

    Example:

    >>> with DataParallel(devices=["cpu:0", "cpu:1"]).scope():
    ...     model.evaluate(x[:773], y[:773], batch_size=773)

    Reference: `keras.distribution.DataParallel`.
    """

    def get_data_layout(self, data_shape):
        if data_shape[0] % self.num_model_replicas == 0:
            return super().get_data_layout(data_shape)
        return keras.distribution.TensorLayout(
            [None] * len(data_shape), self.device_mesh
        )
