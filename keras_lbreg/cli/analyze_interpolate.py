"""`lbreg analyze interpolate`: the line through two models."""

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


@report_errors
def interpolate(
    first: Annotated[
        str, typer.Argument(metavar="FIRST.keras", help="The model at a = 0.")
    ],
    second: Annotated[
        str, typer.Argument(metavar="SECOND.keras", help="The one at a = 1.")
    ],
    data: analyze_options.Data,
    start: Annotated[
        float,
        typer.Option("--from", help="The first a.", rich_help_panel=WHAT),
    ] = -1.0,
    end: Annotated[
        float, typer.Option("--to", help="The last a.", rich_help_panel=WHAT)
    ] = 2.0,
    points: Annotated[
        int, typer.Option(help="Number of values of a.", rich_help_panel=WHAT)
    ] = 25,
    statistics: Annotated[
        str,
        typer.Option(
            metavar="estimate|interpolate",
            help="Statistics of batch normalization: measured anew at each "
            "point on the training samples, or moved along the line, which "
            "makes variances negative somewhere beyond the ends.",
            rich_help_panel=WHAT,
        ),
    ] = "estimate",
    samples: analyze_options.Count = 10_000,
    backend: options.Backend = None,
    data_dir: options.DataDir = None,
    out: analyze_options.Out = None,
    fresh: analyze_options.Fresh = False,
    debug: options.Debug = False,
):
    """
    Loss and accuracy on the line through two models (Keskar et al., Fig. 3).

    Both models have one architecture. A valley that is wider on the side of
    the small batch than on that of the large one is what the paper found.

    **Examples**

    ```shell
    lbreg analyze interpolate small.keras large.keras --data digits
    lbreg analyze interpolate a.keras b.keras --data mnist --points 49
    ```

    **What comes out**, in `runs/analyze-FIRST-SECOND/`: `interpolate.json`
    and `interpolate.png`.
    """
    from keras_lbreg.cli.backend import start_keras

    check_paths([first, second])
    check_range(start, end, points)
    start_keras(backend)

    import numpy as np

    from keras_lbreg.analysis.plots.interpolation import plot_interpolation
    from keras_lbreg.analysis.saved.measure import interpolation_job
    from keras_lbreg.analysis.saved.samples import load, take_samples
    from keras_lbreg.analysis.saved.words import interpolation_words

    files, chosen = prepare([first, second], data, data_dir, "train", samples)
    others = take_samples(load(data, data_dir), "val", samples)
    # Rounded: 0 and 1 are among them, and the file is read by people.
    positions = np.round(np.linspace(start, end, points), 9).tolist()
    run_analysis(
        Diagnostic(
            "interpolate",
            "Interpolation",
            "points",
            interpolation_words,
            plot_interpolation,
        ),
        interpolation_job(files, chosen, others, positions, statistics),
        folder_of(files, out),
        fresh,
        make_console(),
    )


def check_range(start, end, points):
    if not start < end or points < 2:
        raise ValueError(
            "Invalid value for options `--from`, `--to` and `--points`. "
            "Expected two points or more, from a smaller a to a larger one. "
            f"Received: --from {start:g} --to {end:g} --points {points}"
        )
