"""Print what a search may try."""

import rich.box
import rich.table
import rich.text

COLUMNS = ("hyperparameter", "values", "only where")


def print_space(space, console):
    """Print the hyperparameters of a search, their values and conditions.

    Args:
        space: The hyperparameters as `keras_tuner.HyperParameters.get_config`
            writes them under `"space"`.
        console: The `rich.console.Console` to print to.
    """
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1))
    for column in COLUMNS:
        table.add_column(column)
    for row in space_rows(space):
        # Not markup: a layer may be called anything.
        table.add_row(*map(rich.text.Text, row))
    console.print(table)


def space_rows(space):
    """Return one tuple of texts per hyperparameter, as `COLUMNS` has them."""
    return [
        (
            entry["config"]["name"],
            values_text(entry["class_name"], entry["config"]),
            condition_text(entry["config"]["conditions"]),
        )
        for entry in space
    ]


def values_text(kind, config):
    if kind == "Fixed":
        return str(config["value"])
    if kind == "Boolean":
        return "on, off"
    if kind == "Choice":
        return ", ".join(map(str, config["values"]))
    scale = ", log" if config["sampling"] == "log" else ""
    return f"{config['min_value']:g} to {config['max_value']:g}{scale}"


def condition_text(conditions):
    """The innermost condition: the others are those of its own name."""
    if not conditions:
        return ""
    [value] = conditions[-1]["config"]["values"]
    return f"{conditions[-1]['config']['name']} is {'on' if value else 'off'}"
