"""What a batch size means under a strategy."""

import dataclasses
import numbers

import keras

from keras_lbreg.checks import (
    check_positive_int,
    check_positive_number,
    invalid,
    is_number,
)
from keras_lbreg.schedules.scale_learning_rate import scale_learning_rate


@dataclasses.dataclass(frozen=True)
class BatchLayout:
    """How a global batch is divided; `str(layout)` is a table.

    Args:
        global_batch_size: Samples of one optimizer update, B.
        devices: Devices that share them.
        replica_batch_size: Samples that each device computes.
        ghost_batch_size: Ghost batch size that was asked for.
        ghosts_per_replica: Ghost batches of each replica; under JAX, where
            there are no replicas, of the global batch.
        last_ghost_size: Size of the last of them, which takes what is left.
        ghosts: Ghost batches in all.
        learning_rate: The scaled learning rate.
        scaling: How it was scaled, in words.
        groups: K of GradientMix.
        concentration: c of GradientMix.
        effective_batch_size: The batch whose plain average is as noisy.
        notes: Sentences about what is unusual.

    Example:

    >>> batch_layout(4096, 4).replica_batch_size
    1024

    Reference: see `batch_layout`.
    """

    global_batch_size: int
    devices: int
    replica_batch_size: int
    ghost_batch_size: int | None = None
    ghosts_per_replica: int | None = None
    last_ghost_size: int | None = None
    ghosts: int | None = None
    learning_rate: float | None = None
    scaling: str | None = None
    groups: int | None = None
    concentration: float | None = None
    effective_batch_size: float | None = None
    notes: tuple = ()

    def rows(self):
        """The lines of the table, as pairs of strings."""
        rows = [
            ("global batch", f"{self.global_batch_size:,}"),
            ("devices", f"{self.devices:,}"),
            ("replica batch", f"{self.replica_batch_size:,}"),
        ]
        if self.ghosts is not None:
            rows.append(("ghost batches", self._describe_ghosts()))
        if self.learning_rate is not None:
            rows.append(
                ("learning rate", f"{self.learning_rate:.4g} ({self.scaling})")
            )
        if self.effective_batch_size is not None:
            text = (
                f"{self.groups} groups, concentration {self.concentration:g}: "
                f"as noisy as a batch of {self.effective_batch_size:,.4g}"
            )
            rows.append(("GradientMix", text))
        return rows

    def _describe_ghosts(self):
        count, last = self.ghosts_per_replica, self.last_ghost_size
        if count == 1:
            sizes = f"1 of {last:,}"
        elif last == self.ghost_batch_size:
            sizes = f"{count:,} of {last:,}"
        else:
            size = self.ghost_batch_size
            sizes = f"{count - 1:,} of {size:,} and 1 of {last:,}"
        if self.ghosts == count:
            return sizes
        return f"{sizes} per replica, {self.ghosts:,} in all"

    def __str__(self):
        width = max(len(name) for name, _ in self.rows())
        lines = [f"{name:<{width}}  {value}" for name, value in self.rows()]
        return "\n".join([*lines, *self.notes])


def batch_layout(
    global_batch_size,
    strategy=None,
    ghost_batch_size=None,
    base_batch_size=None,
    base_learning_rate=None,
    rule="sqrt",
    concentration=None,
    groups=None,
):
    """Says what a global batch size means under a strategy.

    With B samples on K replicas, ghost size S, and GradientMix over G groups
    with concentration c,

    ```
    replica batch     B / K
    ghost batches     q = max(1, (B/K) // S) on each replica,
                      the last of B/K - (q - 1) S samples
    learning rate     base_learning_rate * sqrt(B / base_batch_size)
    effective batch   B (G c + 1) / (G (c + 1))
    ```

    The effective batch is the one whose plain average has the covariance that
    the mixed gradient has.

    Under `keras.distribution.DataParallel` (JAX) there are devices and no
    replicas: ghost batches are cut from the global batch.

    Args:
        global_batch_size: Positive integer, the samples of one update.
        strategy: A `tf.distribute.Strategy`, a
            `keras.distribution.DataParallel`, the number of replicas, or None
            for one device. Defaults to `None`.
        ghost_batch_size: Optional positive integer, as for
            `GhostBatchNormalization`.
        base_batch_size: Optional positive integer, the batch size that
            `base_learning_rate` is good at.
        base_learning_rate: Optional positive float.
        rule: `"sqrt"` or `"linear"`, see `scale_learning_rate`. Defaults to
            `"sqrt"`.
        concentration: Positive float, as for `GradientMix`, or None for no
            mixing, unless `groups` is given; then it is 1. Defaults to `None`.
        groups: Positive integer, as for `mix_sample_weights`, or None for the
            number of replicas. Defaults to `None`.

    Returns:
        A `BatchLayout`; print it.

    Raises:
        TypeError: If `strategy` is none of the above.
        ValueError: If an argument is outside of its range, if the replicas
            cannot have equally many samples, or if one of `base_batch_size`
            and `base_learning_rate` is missing.

    Example:

    >>> print(
    ...     keras_lbreg.batch_layout(
    ...         4096, 4, ghost_batch_size=128, base_batch_size=128,
    ...         base_learning_rate=0.1, concentration=1.0,
    ...     )
    ... )
    global batch   4,096
    devices        4
    replica batch  1,024
    ghost batches  8 of 128 per replica, 32 in all
    learning rate  0.5657 (0.1 at batch 128, sqrt rule, x5.657)
    GradientMix    4 groups, concentration 1: as noisy as a batch of 2,560

    Reference:

    - [Hoffer et al., 2017](https://arxiv.org/abs/1705.08741), ghosts and rule
    - GradientMix, submission to ICLR 2023
    """
    check_positive_int("global_batch_size", global_batch_size)
    devices, has_replicas = _devices(strategy)
    if global_batch_size % devices:
        raise invalid(
            "global_batch_size",
            f"a multiple of the number of devices, {devices}, so that each "
            "has equally many samples",
            global_batch_size,
        )
    share = global_batch_size // devices
    unit_count = devices if has_replicas else 1
    fields, notes = {}, []
    if ghost_batch_size is not None:
        check_positive_int("ghost_batch_size", ghost_batch_size)
        whole = global_batch_size // unit_count
        count = max(1, whole // ghost_batch_size)
        fields |= {
            "ghosts_per_replica": count,
            "last_ghost_size": whole - (count - 1) * ghost_batch_size,
            "ghosts": count * unit_count,
        }
        if whole < ghost_batch_size:
            notes.append(
                f"A ghost batch cannot be larger than the batch it is cut "
                f"from: {whole} samples instead of {ghost_batch_size}."
            )
        if not has_replicas and share % ghost_batch_size:
            notes.append(
                "Some ghost batches lie on two devices, which have to "
                "communicate for their statistics."
            )
    rate, base = base_learning_rate, base_batch_size
    if rate is not None or base is not None:
        if rate is None or base is None:
            raise invalid(
                "base_learning_rate" if rate is None else "base_batch_size",
                "a number, since the rate to scale and the batch size it is "
                "good at belong together",
                None,
            )
        scaled = scale_learning_rate(rate, base, global_batch_size, rule)
        fields |= {
            "learning_rate": scaled,
            "scaling": f"{rate:.4g} at batch {base:,}, {rule} rule, "
            f"x{scaled / rate:.4g}",
        }
    if concentration is not None or groups is not None:
        k = unit_count if groups is None else groups
        c = 1.0 if concentration is None else concentration
        check_positive_int("groups", k)
        check_positive_number("concentration", c)
        effective = global_batch_size * (k * c + 1) / (k * (c + 1))
        fields |= {
            "groups": k,
            "concentration": c,
            "effective_batch_size": effective,
        }
        if k == 1:
            notes.append("GradientMix has nothing to mix with one group.")
    return BatchLayout(
        global_batch_size,
        devices,
        share,
        ghost_batch_size,
        **fields,
        notes=tuple(notes),
    )


def _devices(strategy):
    """The number of devices, and whether each has a replica."""
    if strategy is None:
        return 1, True
    if isinstance(strategy, keras.distribution.DataParallel):
        return strategy.num_model_replicas, False
    replicas = getattr(strategy, "num_replicas_in_sync", strategy)
    if not is_number(replicas, numbers.Integral):
        raise TypeError(
            "Invalid value for argument `strategy`. Expected a "
            "`tf.distribute.Strategy`, a `keras.distribution.DataParallel`, "
            "the number of replicas or None. Received: "
            f"strategy={strategy!r}"
        )
    check_positive_int("strategy", replicas)
    return replicas, True
