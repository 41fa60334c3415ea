"""Where a run computes: one device, several, or several machines."""

import contextlib
import dataclasses

from keras_lbreg.experiments.plain_data import from_arrays, to_arrays

STRATEGIES = ("auto", "one", "mirrored", "multi-worker", "jax-data-parallel")

# What the other workers raise where the chief has raised it, or a kind of it:
# a mistake of the user's is one on all workers.
REPEATED = (
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    OSError,
    ImportError,
    TypeError,
    ValueError,
    RuntimeError,
)


@dataclasses.dataclass(frozen=True)
class Placement:
    """The devices that share every batch of a run.

    Args:
        strategy: Name of the strategy, one of `STRATEGIES` but `"auto"`.
        devices: Number of devices that share a batch, in all processes.
        why: Why it was chosen, in words.
        handle: The `tf.distribute.Strategy` or the
            `keras.distribution.DataParallel`; `None` for one device.
        workers: Number of processes that train together.
        worker: This process among them, from 0.

    Example:

    >>> choose_strategy("one")
    Placement(strategy='one', devices=1, ...)

    Reference: `choose_strategy` makes it.
    """

    strategy: str = "one"
    devices: int = 1
    why: str = "the default"
    handle: object = dataclasses.field(default=None, repr=False, compare=False)
    workers: int = 1
    worker: int = 0

    @property
    def replicas(self):
        """Copies of the model with a part of the batch each.

        JAX has one, however many devices compute it.
        """
        return 1 if self.strategy == "jax-data-parallel" else self.devices

    @property
    def local_replicas(self):
        """The indices of this process's replicas among all of them."""
        count = self.replicas // self.workers
        return range(self.worker * count, (self.worker + 1) * count)

    @property
    def is_chief(self):
        """Whether this process reads and writes the results."""
        return self.worker == 0

    def scope(self):
        """The context in which models are made and trained."""
        if self.handle is None:
            return contextlib.nullcontext()
        return self.handle.scope()

    def distribute(self, make_dataset):
        """Give each replica batches of its own.

        Args:
            make_dataset: Function that makes the `tf.data.Dataset` of this
                process: one element for each of its replicas in turn, step by
                step.

        Returns:
            What `fit` reads.
        """
        if self.handle is None:
            return make_dataset()
        return self.handle.distribute_datasets_from_function(
            lambda context: make_dataset()
        )

    def on_chief(self, function):
        """Call `function` on the chief alone, and hand everyone its result.

        Whatever depends on files goes through here, so that all workers
        decide alike without a file system in common.

        Args:
            function: Function without arguments whose result is plain data,
                see `to_arrays`: nothing that could run anything travels.

        Returns:
            The result of the chief's call.

        Raises:
            Exception: On all workers, if the chief's call raised: the same on
                the chief, one of the kinds in `REPEATED` on the others.
        """
        if self.workers == 1:
            return function()
        from keras_lbreg.distribute import broadcast_from_chief

        error, message = None, None
        if self.is_chief:
            try:
                message = to_arrays({"result": function()})
            except Exception as raised:
                error = raised
                message = to_arrays({"error": [kind_of(raised), f"{raised}"]})
        message = from_arrays(broadcast_from_chief(self.handle, message))
        if error is not None:
            raise error
        if "error" in message:
            name, text = message["error"]
            kind = {kind.__name__: kind for kind in REPEATED}[name]
            raise kind(f"The chief, worker 0, cannot go on. {text}")
        return message["result"]

    def describe(self):
        """The placement in one line."""
        if self.devices == 1 and self.workers == 1:
            shape = "one device"
        elif self.workers == 1:
            shape = f"{self.devices} devices"
        else:
            shape = f"{self.devices} devices of {self.workers} workers"
        return f"Strategy: {self.strategy}, {shape} ({self.why})"


ONE_DEVICE = Placement()


def kind_of(error):
    """The name of the first class in `REPEATED` that `error` belongs to."""
    kinds = (kind for kind in REPEATED if isinstance(error, kind))
    return next(kinds, RuntimeError).__name__


def check_strategy(strategy, devices):
    """Raise unless the arguments have a meaning on some machine."""
    if strategy not in STRATEGIES:
        raise ValueError(
            "Invalid value for argument `strategy`. Expected one of "
            f"{', '.join(STRATEGIES)}. Received: strategy={strategy!r}"
        )
    if devices is not None and (
        not isinstance(devices, int) or isinstance(devices, bool) or devices < 1
    ):
        raise ValueError(
            "Invalid value for argument `devices`. Expected an integer of at "
            f"least 1, or None. Received: devices={devices!r}"
        )
