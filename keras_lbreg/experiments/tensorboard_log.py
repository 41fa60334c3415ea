"""Records as TensorBoard scalars."""


class TensorBoardLog:
    """Writes each record's numbers over the number of updates.

    The x axis is updates, not epochs, so that arms of different batch sizes
    can be laid over each other.

    Args:
        path: Folder of the run's logs.

    Example:

    >>> log = TensorBoardLog("runs/digits/tensorboard/lr/seed-0")
    >>> log.write(record)

    Reference: `tf.summary`.
    """

    def __init__(self, path):
        import tensorflow as tf

        self._summary = tf.summary
        self._writer = tf.summary.create_file_writer(str(path))

    def write(self, record):
        numbers = {
            "train/loss": record.loss,
            "train/accuracy": record.accuracy,
            "validation/loss": record.val_loss,
            "validation/accuracy": record.val_accuracy,
            "learning_rate": record.learning_rate,
            "weight_distance": record.weight_distance,
            "epoch": record.epoch,
            **record.extras,
        }
        with self._writer.as_default(step=record.updates):
            for name, value in numbers.items():
                self._summary.scalar(name, value)
        # So that nothing is missing when the process is killed.
        self._writer.flush()
