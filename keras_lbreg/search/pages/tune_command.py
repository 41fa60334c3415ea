"""The command that repeats a search."""

import dataclasses
import shlex

from keras_lbreg.search.search import Search

# What a folder and the command of another machine need not agree in.
LEFT_OUT = ("dataset", "backend", "data_dir", "out_dir", "workers")
NO_FACTOR = "none"


def tune_command(search):
    """Return the `lbreg tune` command line for a search.

    What is at its default is left out, but for the backend. So are the places
    of data and results and the number of workers, which change no trial.

    Args:
        search: The `Search` as plain data, as `search.json` holds it.

    Returns:
        A string for a POSIX shell.

    Example:

    >>> tune_command(read_search("runs/tune-digits").search)
    'lbreg tune digits --executions 2 --backend tensorflow'

    Reference: `lbreg tune --help`.
    """
    words = ["lbreg", "tune", search["dataset"]]
    default = Search(search["dataset"], backend=search["backend"]).to_json()
    for field in dataclasses.fields(Search):
        name, value = field.name, search[field.name]
        if name in LEFT_OUT or as_list(value) == as_list(default[name]):
            continue
        words += OPTIONS.get(name, plain_option)(name, value)
    words += ["--backend", search["backend"]]
    return shlex.join(str(word) for word in words)


def as_list(value):
    """A value as JSON gives it back."""
    return list(value) if isinstance(value, tuple) else value


def plain_option(name, value):
    return [f"--{name.replace('_', '-')}", value]


def list_option(name, values):
    return plain_option(name, ",".join(map(str, values)))


def batch_size_option(name, values):
    return list_option("batch_size", values)


def factor_option(name, factor):
    low_high = NO_FACTOR if factor is None else "{}..{}".format(*factor)
    return plain_option(name, low_high)


def budget_option(name, seconds):
    return plain_option(name, f"{seconds:.10g}s")


def range_options(name, ranges):
    words = []
    for technique, values_by_key in ranges.items():
        for key, values in values_by_key.items():
            path = f"{technique}.{key}="
            if isinstance(values, dict):
                log = ":log" if values["log"] else ""
                text = f"{values['low']}..{values['high']}{log}"
                words += ["--range", path + text]
            elif len(values) == 1:
                words += ["--set", f"{path}{values[0]}"]
            else:
                words += ["--range", path + ",".join(map(str, values))]
    return words


OPTIONS = {
    "budget": budget_option,
    "batch_sizes": batch_size_option,
    "techniques": list_option,
    "always": list_option,
    "learning_rate_factor": factor_option,
    "ranges": range_options,
}
