"""`lbreg analyze`: diagnostics of saved models."""

from typing import Annotated

import typer

from keras_lbreg.cli import analyze_options, options
from keras_lbreg.cli.analyze_run import (
    Diagnostic,
    check_paths,
    folder_of,
    prepare,
    run_analysis,
)
from keras_lbreg.cli.console import make_console
from keras_lbreg.cli.errors import report_errors
from keras_lbreg.cli.options import WHAT

app = typer.Typer(no_args_is_help=True)
PAPERS_EPSILONS = [1e-3, 5e-4]


@app.callback()
def analyze():
    """
    Look at what lies behind the gap: diagnostics of trained models.

    Each command takes saved models and a dataset, prints what the numbers
    mean, and writes them with a plot to `runs/analyze-MODEL/`. Several models
    are shown side by side, such as one trained with a small batch and one
    with a large batch. Interrupted, the same command goes on.
    """


@app.command("sharpness")
@report_errors
def sharpness(
    models: analyze_options.Models,
    data: analyze_options.Data,
    epsilon: Annotated[
        list[float],
        typer.Option(
            help="Size of the box. May be repeated. Default: both of the "
            "paper's.",
            show_default=False,
            rich_help_panel=WHAT,
        ),
    ] = PAPERS_EPSILONS,
    subspace: Annotated[
        int | None,
        typer.Option(
            help="Search in so many random directions (the paper: 100). "
            "Default: in all.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    iterations: Annotated[
        int,
        typer.Option(help="Iterations of L-BFGS-B.", rich_help_panel=WHAT),
    ] = 10,
    samples: analyze_options.Count = 10_000,
    split: analyze_options.Split = "train",
    seed: analyze_options.Seed = 0,
    backend: options.Backend = None,
    data_dir: options.DataDir = None,
    out: analyze_options.Out = None,
    fresh: analyze_options.Fresh = False,
    debug: options.Debug = False,
):
    """
    How much the loss rises in a small box around a model (Keskar et al.).

    100 (max f - f) / (1 + f), the maximum over |z_i| <= ε (|θ_i| + 1). Large
    batches tend to end in sharper minima.

    **Examples**

    ```shell
    lbreg analyze sharpness model.keras --data digits
    lbreg analyze sharpness small.keras large.keras --data mnist
    lbreg analyze sharpness model.keras --data cifar10 --subspace 100
    ```

    **What comes out**, in `runs/analyze-MODEL/`: `sharpness.json` and
    `sharpness.png`.
    """
    from keras_lbreg.cli.backend import start_keras

    check_paths(models)
    start_keras(backend)

    from keras_lbreg.analysis.plots.bars import plot_sharpness
    from keras_lbreg.analysis.saved.measure import sharpness_jobs
    from keras_lbreg.analysis.saved.words import sharpness_words

    files, chosen = prepare(models, data, data_dir, split, samples)
    run_analysis(
        Diagnostic(
            "sharpness",
            "Sharpness",
            "evaluations",
            sharpness_words,
            plot_sharpness,
        ),
        sharpness_jobs(
            files,
            chosen,
            list(dict.fromkeys(epsilon)),
            subspace,
            iterations,
            seed,
        ),
        folder_of(files, out),
        fresh,
        make_console(),
    )


@app.command("hessian")
@report_errors
def hessian(
    models: analyze_options.Models,
    data: analyze_options.Data,
    tolerance: Annotated[
        float,
        typer.Option(
            help="Relative accuracy of the eigenvalue.", rich_help_panel=WHAT
        ),
    ] = 1e-3,
    max_iterations: Annotated[
        int,
        typer.Option(
            help="Most restarts of the iteration.", rich_help_panel=WHAT
        ),
    ] = 100,
    samples: analyze_options.Count = 10_000,
    split: analyze_options.Split = "train",
    seed: analyze_options.Seed = 0,
    backend: options.Backend = None,
    data_dir: options.DataDir = None,
    out: analyze_options.Out = None,
    fresh: analyze_options.Fresh = False,
    debug: options.Debug = False,
):
    """
    The largest eigenvalue of the loss's Hessian: how sharp the minimum is.

    Gradient descent is stable along the sharpest direction only up to a
    learning rate of 2/λ, which is printed.

    **Examples**

    ```shell
    lbreg analyze hessian small.keras large.keras --data digits
    lbreg analyze hessian model.keras --data mnist --samples 5000
    ```

    **What comes out**, in `runs/analyze-MODEL/`: `hessian.json` and
    `hessian.png`.
    """
    from keras_lbreg.cli.backend import start_keras

    check_paths(models)
    start_keras(backend)

    from keras_lbreg.analysis.plots.bars import plot_eigenvalues
    from keras_lbreg.analysis.saved.measure import hessian_jobs
    from keras_lbreg.analysis.saved.words import hessian_words

    files, chosen = prepare(models, data, data_dir, split, samples)
    run_analysis(
        Diagnostic(
            "hessian",
            "Largest eigenvalue of the Hessian",
            "Hessian-vector products",
            hessian_words,
            plot_eigenvalues,
        ),
        hessian_jobs(files, chosen, tolerance, max_iterations, seed),
        folder_of(files, out),
        fresh,
        make_console(),
    )


@app.command("noise-scale")
@report_errors
def noise_scale(
    models: analyze_options.Models,
    data: analyze_options.Data,
    small_batch: Annotated[
        int, typer.Option(help="The small batch.", rich_help_panel=WHAT)
    ] = 64,
    big_batch: Annotated[
        int,
        typer.Option(
            help="The big batch, a multiple of the small one. The largest "
            "that the data allows where it is more.",
            rich_help_panel=WHAT,
        ),
    ] = 1024,
    pairs: Annotated[
        int,
        typer.Option(
            help="Big batches to draw. More narrow the interval.",
            rich_help_panel=WHAT,
        ),
    ] = 20,
    statistics: Annotated[
        str,
        typer.Option(
            metavar="batch|estimate|moving",
            help="Statistics of batch normalization: each small batch's own, "
            "as in training; measured anew for these weights; or the moving "
            "ones, which lag behind in mid-run.",
            rich_help_panel=WHAT,
        ),
    ] = "batch",
    samples: analyze_options.Count = None,
    split: analyze_options.Split = "train",
    seed: analyze_options.Seed = 0,
    backend: options.Backend = None,
    data_dir: options.DataDir = None,
    out: analyze_options.Out = None,
    fresh: analyze_options.Fresh = False,
    debug: options.Debug = False,
):
    """
    How large a batch is useful: the gradient noise scale (McCandlish et al.).

    B_simple = S / |G|^2, noise over signal of the gradient. Far below it,
    doubling the batch nearly halves the number of updates; far above, it buys
    little.

    **Examples**

    ```shell
    lbreg analyze noise-scale model.keras --data digits
    lbreg analyze noise-scale small.keras large.keras --data mnist --pairs 50
    ```

    **What comes out**, in `runs/analyze-MODEL/`: `noise-scale.json` and
    `noise-scale.png`.
    """
    from keras_lbreg.cli.backend import start_keras

    check_paths(models)
    start_keras(backend)

    from keras_lbreg.analysis.plots.noise_scale import plot_noise_scale
    from keras_lbreg.analysis.saved.measure import noise_scale_jobs
    from keras_lbreg.analysis.saved.words import noise_scale_words

    files, chosen = prepare(models, data, data_dir, split, samples)
    run_analysis(
        Diagnostic(
            "noise-scale",
            "Gradient noise scale",
            "big batches",
            noise_scale_words,
            plot_noise_scale,
        ),
        noise_scale_jobs(
            files, chosen, small_batch, big_batch, pairs, seed, statistics
        ),
        folder_of(files, out),
        fresh,
        make_console(),
    )
