"""`lbreg arms`: what can be compared, and with which settings."""

import textwrap
from typing import Annotated

import typer

from keras_lbreg.cli import options
from keras_lbreg.cli.backend import start_keras
from keras_lbreg.cli.errors import make_console, report_errors


@report_errors
def arms(
    workload: Annotated[
        str | None,
        typer.Argument(
            metavar="WORKLOAD",
            help="Show the arms of this workload. Default: all.",
        ),
    ] = None,
    data_dir: options.DataDir = None,
    debug: options.Debug = False,
):
    """
    List the arms of a comparison and the techniques with their settings.

    The names are those of `--arms` and `--arm`, the settings those of `--set`.

    **Examples**

    ```shell
    lbreg arms
    lbreg arms train.py
    ```
    """
    start_keras()

    from keras_lbreg.comparison.arms import standard_arms
    from keras_lbreg.techniques import TECHNIQUES

    loaded = workload and options.load_workload(workload, data_dir)
    console = make_console()

    def say(text, indent=""):
        lines = textwrap.wrap(
            text,
            min(console.width, 100),
            initial_indent=indent,
            subsequent_indent=indent + "  ",
            # A name or a setting is copied from here.
            break_long_words=False,
            break_on_hyphens=False,
        )
        console.print("\n".join(lines), markup=False, soft_wrap=True)

    say("Arms (--arms NAME,NAME), each with what it is judged against:")
    for arm in standard_arms(loaded or None):
        control = f", against {arm.control}" if arm.control else ""
        say(f"{arm.name}: {arm.title}{control}", "  ")
    say("")
    say("Techniques and their settings (--set TECHNIQUE.NAME=VALUE):")
    own = loaded.techniques if loaded else {}
    for technique in TECHNIQUES:
        values = technique.hyperparameters(own.get(technique.name))
        say(f"{technique.name}: {technique.title} ({technique.symbol})", "  ")
        for name, value in values.items():
            say(f"{technique.name}.{name}={value}", "    ")
        say(f"helps when: {technique.helps_when}", "    ")
