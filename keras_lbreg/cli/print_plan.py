"""Print what will be trained, and what every arm changes."""

import rich.box
import rich.table

from keras_lbreg.experiments.formatting import format_count, format_rate


def print_plan(manifest, total, pending, console):
    """Print the arms of a comparison before they start.

    Nothing is scaled silently: batch size, learning rate and epochs stand in
    columns, and whatever else an arm changes follows them.

    Args:
        manifest: Content of `manifest.json`.
        total: Number of runs.
        pending: Number of runs that have not ended.
        console: The `rich.console.Console` to print to.
    """
    data = manifest["dataset"]
    console.print(
        f"{data['title']}: {format_count(data['train_samples'])} training "
        f"and {format_count(data['val_samples'])} validation samples, "
        f"{data['classes']} classes; {manifest['backend']} on "
        f"{manifest['device']}",
        markup=False,
    )
    ended = (
        f", {total - pending} of them done before" if pending < total else ""
    )
    runs = "1 run" if total == 1 else f"{total} runs"
    console.print(f"{runs}{ended}. What the arms train with:")
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("arm", no_wrap=True)
    for column in ("batch", "learning rate", "epochs", "updates"):
        table.add_column(column, justify="right")
    table.add_column("changed")
    for arm in manifest["arms"]:
        table.add_row(
            arm["title"],
            format_count(arm["batch_size"]),
            format_rate(arm["learning_rate"]),
            format_count(arm["epochs"]),
            format_count(arm["updates"]),
            "\n".join(arm["changes"]),
        )
    console.print(table)
