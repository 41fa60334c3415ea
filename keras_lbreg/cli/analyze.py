"""`lbreg analyze`: diagnostics of saved models."""

import rich.progress

from keras_lbreg.cli import options
from keras_lbreg.cli.backend import start_keras
from keras_lbreg.cli.errors import report_errors
from keras_lbreg.cli.options import WHAT, WHERE, folder, number, option
from keras_lbreg.formatting import make_console, rich_table

SHARPNESS = "Sharpness"
HESSIAN = "Hessian"
NOISE = "Noise scale"
LINE = "Interpolation"


@report_errors
def analyze(
    workload: options.WorkloadSpec,
    models: options.argument(
        list[str],
        "MODEL.keras...",
        "Saved models of the workload, as `lbreg train` and `model.save` write "
        "them; for the interpolation, two.",
    ),
    what: option(
        str,
        WHAT,
        "A,B,...",
        "Of sharpness, hessian, noise and interpolation, these.",
    ) = "sharpness,hessian,noise",
    samples: number(WHAT, "Use so many samples, chosen at random.") = 10_000,
    split: option(
        str, WHAT, "NAME", "Which data of the workload to use, train or val."
    ) = "train",
    seed: number(WHAT, "Seed of random directions and batches.") = 0,
    epsilon: option(
        list[float],
        SHARPNESS,
        "X",
        "Size of the box. May be repeated. Default: both of the paper's.",
        show_default=False,
    ) = [1e-3, 5e-4],  # noqa: B006
    subspace: number(
        SHARPNESS,
        "Search in N random directions (the paper: 100), not in all.",
        int | None,
    ) = None,
    iterations: number(SHARPNESS, "Iterations of L-BFGS-B.") = 10,
    tolerance: option(
        float, HESSIAN, "X", "Relative accuracy of the eigenvalue."
    ) = 1e-3,
    max_iterations: number(HESSIAN, "Most restarts of the iteration.") = 100,
    small_batch: number(NOISE, "The small batch.") = 64,
    big_batch: number(
        NOISE,
        "The big batch, a multiple of the small one; at most what the data "
        "allow.",
    ) = 1024,
    pairs: number(
        NOISE, "Big batches to draw. More narrow the interval.", min=1
    ) = 20,
    statistics: option(
        str,
        NOISE,
        "NAME",
        "Statistics of batch normalization: batch, each small batch's own, as "
        "in training; estimate, measured anew; moving, which lag behind in "
        "mid-run.",
    ) = "batch",
    points: number(
        LINE,
        "Number of values of a; 0 is the first model, 1 the second.",
        min=2,
    ) = 25,
    start: option(float, LINE, "X", "The first a.", "--from") = -1.0,
    stop: option(float, LINE, "X", "The last a.", "--to") = 2.0,
    line_statistics: option(
        str,
        LINE,
        "NAME",
        "Statistics of batch normalization: estimate, measured anew at each "
        "point on the training data; interpolate, moved along the line.",
    ) = "estimate",
    backend: options.Backend = None,
    data_dir: options.DataDir = None,
    out: folder("Folder of the results. Default: runs/analyze-MODEL.") = None,
    fresh: option(
        bool, WHERE, None, "Compute everything again.", "--fresh"
    ) = False,
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
      doubling the batch nearly halves the updates; far above, it saves few.
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
    start_keras(backend)

    from keras_lbreg.analysis.report import analyze as run_analysis

    settings = {
        "sharpness": {
            "epsilon": tuple(dict.fromkeys(epsilon)),
            "subspace": subspace,
            "iterations": iterations,
        },
        "hessian": {"tolerance": tolerance, "max_iterations": max_iterations},
        "noise": {
            "small_batch": small_batch,
            "big_batch": big_batch,
            "pairs": pairs,
            "statistics": statistics,
        },
        "interpolation": {
            "points": points,
            "start": start,
            "end": stop,
            "statistics": line_statistics,
        },
    }
    console = make_console()
    with Progress(console) as progress:
        analysis = run_analysis(
            models,
            options.load_workload(workload, data_dir),
            options.split(what),
            settings,
            samples=samples,
            split=split,
            seed=seed,
            out=out,
            fresh=fresh,
            on_progress=progress.advance_to,
            on_result=progress.print_line,
        )
    console.print(rich_table(*analysis.cells()))
    for line in analysis.notes():
        console.print(line)
    console.print(f"Report: {analysis.report_path}", soft_wrap=True)


class Progress(rich.progress.Progress):
    """What is measured now; in a log file, only the finished lines."""

    def __init__(self, console):
        super().__init__(
            rich.progress.SpinnerColumn(),
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(bar_width=24),
            rich.progress.TextColumn("{task.completed:,} {task.fields[unit]}"),
            rich.progress.TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def advance_to(self, title, done, total, unit):
        if done == 0:
            for task in self.task_ids:
                self.remove_task(task)
            self.add_task(title, total=total, unit=unit)
        self.update(self.task_ids[-1], completed=done)

    def print_line(self, line):
        self.console.print(line, soft_wrap=True)
