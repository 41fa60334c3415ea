"""Exit codes in words."""

import signal


def describe_exit(code):
    """What an exit code of `subprocess` means, as a verb phrase.

    Args:
        code: The exit code; a negative one is the number of a signal.

    Example:

    >>> describe_exit(-9)
    'was killed by SIGKILL (out of memory?)'

    Reference: `subprocess.Popen.returncode`.
    """
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    # The kernel's way to end a process that takes too much memory.
    hint = " (out of memory?)" if -code == signal.SIGKILL else ""
    return f"was killed by {name}{hint}"
