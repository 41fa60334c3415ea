"""`lbreg analyze`: diagnostics of saved models."""

from typing import Annotated

import rich.progress
import typer

from keras_lbreg.cli import options
from keras_lbreg.cli.backend import start_keras
from keras_lbreg.cli.errors import report_errors
from keras_lbreg.formatting import make_console

WHAT = options.WHAT
INTERPOLATION = "interpolation"


@report_errors
def analyze(
    workload: options.WorkloadSpec,
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL.keras...",
            help=(
                "Saved models of the workload, as `lbreg train` and "
                "`model.save` write them; for the interpolation, two."
            ),
        ),
    ],
    what: Annotated[
        str,
        typer.Option(
            metavar="A,B,...",
            help="Of sharpness, hessian, noise and interpolation, these.",
            rich_help_panel=WHAT,
        ),
    ] = "sharpness,hessian,noise",
    samples: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Use so many samples, chosen at random.",
            rich_help_panel=WHAT,
        ),
    ] = 10_000,
    split: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Which data of the workload to use, train or val.",
            rich_help_panel=WHAT,
        ),
    ] = "train",
    seed: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Seed of random directions and batches.",
            rich_help_panel=WHAT,
        ),
    ] = 0,
    epsilon: Annotated[
        list[float],
        typer.Option(
            metavar="X",
            help=(
                "Size of the box. May be repeated. Default: both of the "
                "paper's."
            ),
            show_default=False,
            rich_help_panel="Sharpness",
        ),
    ] = [1e-3, 5e-4],  # noqa: B006
    subspace: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Search in N random directions (the paper: 100), not in all.",
            rich_help_panel="Sharpness",
        ),
    ] = None,
    iterations: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Iterations of L-BFGS-B.",
            rich_help_panel="Sharpness",
        ),
    ] = 10,
    tolerance: Annotated[
        float,
        typer.Option(
            metavar="X",
            help="Relative accuracy of the eigenvalue.",
            rich_help_panel="Hessian",
        ),
    ] = 1e-3,
    max_iterations: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Most restarts of the iteration.",
            rich_help_panel="Hessian",
        ),
    ] = 100,
    small_batch: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="The small batch.",
            rich_help_panel="Noise scale",
        ),
    ] = 64,
    big_batch: Annotated[
        int,
        typer.Option(
            metavar="N",
            help=(
                "The big batch, a multiple of the small one; at most what "
                "the data allow."
            ),
            rich_help_panel="Noise scale",
        ),
    ] = 1024,
    pairs: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Big batches to draw. More narrow the interval.",
            rich_help_panel="Noise scale",
        ),
    ] = 20,
    statistics: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=(
                "Statistics of batch normalization: batch, each small batch's "
                "own, as in training; estimate, measured anew; moving, which "
                "lag behind in mid-run."
            ),
            rich_help_panel="Noise scale",
        ),
    ] = "batch",
    points: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Number of values of a; 0 is the first model, 1 the second.",
            rich_help_panel="Interpolation",
        ),
    ] = 25,
    start: Annotated[
        float,
        typer.Option(
            "--from",
            metavar="X",
            help="The first a.",
            rich_help_panel="Interpolation",
        ),
    ] = -1.0,
    stop: Annotated[
        float,
        typer.Option(
            "--to",
            metavar="X",
            help="The last a.",
            rich_help_panel="Interpolation",
        ),
    ] = 2.0,
    line_statistics: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=(
                "Statistics of batch normalization: estimate, measured anew "
                "at each point on the training data; interpolate, moved along "
                "the line."
            ),
            rich_help_panel="Interpolation",
        ),
    ] = "estimate",
    backend: options.Backend = None,
    data_dir: options.DataDir = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder of the results. Default: runs/analyze-MODEL.",
            rich_help_panel=options.WHERE,
        ),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh",
            help="Compute everything again.",
            rich_help_panel=options.WHERE,
        ),
    ] = False,
    debug: options.Debug = False,
):
    """
    Look at what lies behind the gap: diagnostics of trained models.

    - **sharpness** (Keskar et al.): how much the loss rises in a small box
      around a model, 100 (max f - f) / (1 + f). Large batches tend to end in
      sharper minima.
    - **hessian**: the largest eigenvalue λ of the loss's Hessian; gradient
      descent is stable up to a learning rate of 2/λ.
    - **noise** (McCandlish et al.): the gradient noise scale. Far below it,
      doubling the batch nearly halves the updates; far above, it buys little.
    - **interpolation** (Keskar et al., Fig. 3): the loss on the line through
      two models.

    Several models are shown side by side, such as one trained with a small
    batch and one with a large batch. Interrupted, the same command goes on.

    **Examples**

    ```shell
    lbreg analyze digits small.keras large.keras
    lbreg analyze train.py model.keras --what noise --pairs 50
    lbreg analyze mnist a.keras b.keras --what interpolation --points 49
    ```

    **What comes out**, in `runs/analyze-MODEL/`: a page with table and plots,
    and the numbers as JSON.
    """
    wanted = [word.strip() for word in what.split(",") if word.strip()]
    start_keras(backend)

    from keras_lbreg.analysis import report

    known = (*report.MEASURES, INTERPOLATION)
    check_what(wanted, known, models)
    loaded = options.load_workload(workload, data_dir)
    console = make_console()
    common = {"samples": samples, "seed": seed, "out": out, "fresh": fresh}
    with Progress(console) as progress:
        common |= progress.callbacks
        measures = tuple(word for word in wanted if word != INTERPOLATION)
        found = []
        if measures:
            found.append(
                report.analyze(
                    models,
                    loaded,
                    what=measures,
                    split=split,
                    epsilons=tuple(dict.fromkeys(epsilon)),
                    subspace=subspace,
                    iterations=iterations,
                    tolerance=tolerance,
                    max_iterations=max_iterations,
                    small_batch=small_batch,
                    big_batch=big_batch,
                    pairs=pairs,
                    statistics=statistics,
                    **common,
                )
            )
        if INTERPOLATION in wanted:
            found.append(
                report.analyze_interpolation(
                    *models,
                    loaded,
                    points=points,
                    start=start,
                    end=stop,
                    statistics=line_statistics,
                    **common,
                )
            )
    for analysis in found:
        for line in ("", *analysis.words()):
            console.print(line, markup=False)
        console.print(
            f"Report: {analysis.report_path}", markup=False, soft_wrap=True
        )


def check_what(wanted, known, models):
    if not wanted or set(wanted) - set(known):
        raise ValueError(
            "Invalid value for option `--what`. Expected some of "
            f"{', '.join(known)}, with commas between them. Received: "
            f"--what {','.join(wanted)}"
        )
    if INTERPOLATION in wanted and len(models) != 2:
        raise ValueError(
            "Invalid value for argument `MODEL`. Expected two models, the ends "
            f"of the interpolation's line. Received: {len(models)}"
        )


class Progress(rich.progress.Progress):
    """What is measured now; in a log file, only the finished lines."""

    def __init__(self, console):
        super().__init__(
            rich.progress.SpinnerColumn(),
            rich.progress.TextColumn("{task.description}", markup=False),
            rich.progress.BarColumn(bar_width=24),
            rich.progress.TextColumn("{task.completed:,} {task.fields[unit]}"),
            rich.progress.TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.title = None
        self.callbacks = {
            "on_progress": self.advance_to,
            "on_result": self.print_result,
        }

    def advance_to(self, title, done, total, unit):
        if title != self.title:
            for task in self.task_ids:
                self.remove_task(task)
            self.add_task(title, total=total, unit=unit)
            self.title = title
        self.update(self.task_ids[-1], completed=done, total=total, unit=unit)

    def print_result(self, line):
        self.console.print(line, markup=False, soft_wrap=True)
