"""Measure speed and memory, and write docs/performance.md from the results."""

import enum
import importlib.util
import pathlib
from typing import Annotated, Literal

import rich.console
import rich.progress
import typer

from benchmarks import harness

RESULTS = pathlib.Path(__file__).parent / "results"
console = rich.console.Console(soft_wrap=True, markup=False, highlight=False)
Group = enum.StrEnum("Group", list(harness.GROUPS))
app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def run(
    groups: Annotated[
        list[Group] | None,
        typer.Argument(help="What to measure. Default: all."),
    ] = None,
    backend: Literal["tensorflow", "jax"] = "tensorflow",
    quick: Annotated[
        bool, typer.Option("--quick", help="Small and short, to try it.")
    ] = False,
    seconds: Annotated[
        float, typer.Option(help="Of a case, for the turns of its variants.")
    ] = 10.0,
    only: Annotated[
        str, typer.Option(help="Cases with this in their names.")
    ] = "",
    out: Annotated[
        pathlib.Path | None,
        typer.Option(
            help="File for a line of JSON a case. Default: "
            "benchmarks/results/BACKEND.jsonl; none with --quick."
        ),
    ] = None,
):
    """Measure groups of cases; a line of JSON is added as each case ends."""
    if out is None and not quick:
        out = RESULTS / f"{backend}.jsonl"
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
    failed = []

    def report(record):
        for name, found in record["variants"].items():
            low, high = found["ratio_quartiles"]
            console.print(
                f"{record['group']}: {record['case']}: {name}: "
                f"{found['ms']:.3g} ms, x {found['ratio']:.2f} "
                f"({low:.2f} to {high:.2f})"
            )
        for name, why in record["failed"].items():
            console.print(f"{record['case']}: {name}: failed: {why}")
            failed.append(name)
        if out:
            from keras_lbreg.files import append_line

            append_line(out, record)

    groups = [group.value for group in groups or Group]
    if "ghost_batch_norm" in groups and not importlib.util.find_spec("torch"):
        console.print("PyTorch is not installed: its layers are left out.")
    seconds = 0 if quick else seconds
    harness.run(groups, backend, quick, seconds, report, only)
    raise typer.Exit(bool(failed))


@app.command()
def report():
    """Write the tables and plots of docs/performance.md from the results."""
    from benchmarks.report import write

    for path in write():
        console.print(f"Wrote {path}")


if __name__ == "__main__":
    app(prog_name="python -m benchmarks")
