"""`lbreg arms`: what can be compared, and with which settings."""

import textwrap

from keras_lbreg.cli import options
from keras_lbreg.cli.backend import start_keras
from keras_lbreg.cli.errors import report_errors
from keras_lbreg.formatting import make_console


@report_errors
def arms(debug: options.Debug = False):
    """
    List the arms of a comparison and the techniques with their settings.

    The names are those of `--arms` and `--arm`, the settings those of `--set`.
    """
    start_keras()

    from keras_lbreg.comparison import standard_arms
    from keras_lbreg.techniques import TECHNIQUES

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

    say("Arms (--arms NAME,NAME) and what each is judged against:")
    for arm in standard_arms(warm_up=True):
        control = f", against {arm.control}" if arm.control else ""
        say(f"{arm.name}: {arm.title}{control}", "  ")
    say("")
    say("Techniques and their settings (--set TECHNIQUE.NAME=VALUE):")
    for technique in TECHNIQUES:
        say(
            f"{technique.name}: {technique.title} ({technique.symbol}), "
            f"for use: {technique.helps_when}",
            "  ",
        )
        for name, value in technique.defaults.items():
            say(f"{technique.name}.{name}={value}", "    ")
    say("")
    say(
        "The defaults are those of the techniques; a workload may have its "
        "own, which are printed before it is trained."
    )
