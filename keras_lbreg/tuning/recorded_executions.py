"""How the executions of a trial have ended, in a file in its folder."""

import json
import pathlib

EXECUTIONS = "executions.json"


def record_execution(folder, execution, seed, metrics):
    """Write down how one execution of a trial has ended.

    Args:
        folder: The trial's folder, a `pathlib.Path`.
        execution: Its number, from 0. The first one begins the record anew.
        seed: Its seed.
        metrics: Its metrics, by name.
    """
    executions = read_executions(folder) if execution else []
    executions.append({"seed": seed, "metrics": metrics})
    path = folder / EXECUTIONS
    path.write_text(json.dumps(executions, indent=1), "utf-8")


def read_executions(folder):
    """What `record_execution` wrote."""
    try:
        text = (pathlib.Path(folder) / EXECUTIONS).read_text("utf-8")
    except FileNotFoundError:
        raise ValueError(
            "Invalid value for argument `tuner`. Expected a tuner whose trials "
            "were trained by a `keras_lbreg.tuning.LargeBatchHyperModel`. "
            f"Received: no {EXECUTIONS} in {folder}"
        ) from None
    return json.loads(text)
