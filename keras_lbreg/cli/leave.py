"""The end of a command that several workers have run."""

import os
import sys

import typer


def leave(placement, status=0):
    """End the command; several workers end it together.

    Python takes seconds to clean up after TensorFlow, each worker another
    number of them, and TensorFlow takes the first to be gone for a crash and
    says so at length. Everything has been written by now: the workers wait for
    one another and are gone at once.

    Args:
        placement: The `Placement`.
        status: Exit status.
    """
    if placement.workers > 1:
        placement.on_chief(lambda: None)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    raise typer.Exit(status)
