"""The end of a command that several workers have run."""

import sys

# Documented, whatever its name says.
from os import _exit as exit_at_once

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
        exit_at_once(status)
    raise typer.Exit(status)
