"""`lbreg arms`: what can be compared, and with which settings."""

import rich.padding

from keras_lbreg.cli import options
from keras_lbreg.cli.backend import start_keras
from keras_lbreg.cli.errors import report_errors
from keras_lbreg.formatting import make_console, rich_table

TECHNIQUES = (
    "Techniques, with their settings. A workload may have its own, which are "
    "printed before it is trained; `--set` chooses others:",
    "lbreg compare digits --set ghost_batch_norm.ghost_batch_size=32",
)
ARMS = (
    "Arms: a batch size, and the techniques in their titles. Without `--arms`, "
    "those that fit the workload are compared. To choose them by name:",
    "lbreg compare digits --arms small_batch,large_batch,lr",
    "lbreg train digits --arm lr_gbn",
)


@report_errors
def arms(debug: options.Debug = False):
    """
    List the techniques with their settings and the arms of a comparison.

    The names of arms are those of `--arms` and `--arm`, the settings those of
    `--set`.
    """
    start_keras()

    from keras_lbreg.comparison import standard_arms
    from keras_lbreg.techniques import TECHNIQUES as REGISTER

    console = make_console()

    def say(text, indent=0):
        padded = rich.padding.Padding(text, (0, 0, 0, indent), expand=False)
        console.print(padded, overflow="fold")

    def introduce(text, *examples):
        say(text)
        for example in examples:
            say(example, 4)

    introduce(*TECHNIQUES)
    for technique in REGISTER:
        console.print()
        say(f"{technique.symbol}: {technique.title}", 2)
        say(f"What it does: {technique.does}.", 4)
        say(f"When: {technique.helps_when}.", 4)
        say(f"Source: {technique.paper}.", 4)
        for name, value in technique.defaults.items():
            say(f"{technique.name}.{name}={value}", 6)
    console.print()
    introduce(*ARMS)
    rows = [
        (arm.name, arm.title, special(arm), arm.control or "")
        for arm in standard_arms(epochs=1, warm_up=True)
    ]
    columns = ("name", "title", "what is special", "judged against")
    console.print(rich_table(columns, rows, left=4))


def special(arm):
    """What the title of an arm of a run of one epoch leaves open."""
    if not arm.techniques:
        return {
            "small": "as the workload is trained today",
            "large": "nothing but the batch is changed",
        }[arm.batch_size]
    words = []
    if arm.learning_rate_factor != 1:
        words.append(f"the learning rate times {arm.learning_rate_factor:g}")
    for technique, settings in arm.techniques.items():
        for name, value in settings.items():
            if name == "warmup_epochs":
                words.append(f"warm-up over {value:.0%} of the run")
            else:
                words.append(f"{technique}.{name}={value}")
    return ", ".join(words)
