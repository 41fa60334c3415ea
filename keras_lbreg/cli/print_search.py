"""Print what a search is going to do."""

from keras_lbreg.cli.print_space import print_space
from keras_lbreg.cli.settings_text import settings_legend
from keras_lbreg.experiments.formatting import format_count, format_duration

ENGINES = {
    "random": "at random",
    "hyperband": "by Hyperband",
    "bayesian": "by Bayesian optimization",
    "grid": "on a grid",
}


def print_search(event, console):
    """Print the space of a search and the plan.

    Args:
        event: The `SearchStarted`.
        console: The `rich.console.Console` to print to.
    """
    manifest = event.results.manifest
    console.print(
        f"{manifest['dataset']['title']}: what may be tried, with "
        f"{manifest['backend']} on {manifest['device']}",
        markup=False,
        soft_wrap=True,
    )
    print_space(event.space, console)
    if legend := settings_legend(event.space):
        console.print(
            f"In short below: x1.5 for learning_rate_factor, {legend}.",
            style="dim",
            markup=False,
            soft_wrap=True,
        )
    for line in (*plan_lines(event), *session_lines(event.results)):
        console.print(line, markup=False, soft_wrap=True)


def plan_lines(event):
    """Return how the search goes, in sentences."""
    search = event.search
    most = search.trials * search.executions
    runs = "1 run" if search.executions == 1 else f"{search.executions} runs"
    # Hyperband stops most of them earlier.
    upto = "up to " if search.tuner == "hyperband" else ""
    yield (
        f"{count(search.trials, 'trial')} {ENGINES[search.tuner]} (seed "
        f"{search.seed}), each {runs} of {upto}"
        f"{count(event.epochs, 'epoch')}: {upto}"
        f"{format_count(most * event.epochs)} epochs in all"
        + (f", {search.workers} trials at a time" if search.workers > 1 else "")
        + "."
    )
    if search.budget is not None:
        yield (
            "No trial begins after "
            f"{format_duration(search.budget)} of searching."
        )
    data = event.results.manifest["dataset"]
    judges = format_count(data["val_samples"])
    if search.holdout:
        yield (
            f"Trials train on {format_count(data['train_samples'])} samples "
            f"and are judged by {judges} held out of the training data; they "
            "make as many updates as with all of it. The validation data is "
            "kept for the best one."
        )
    else:
        yield (
            f"Trials are judged by the {judges} validation samples "
            "themselves, so a comparison by these will flatter the best one."
        )


def session_lines(results):
    """Return what earlier sessions did, if there were any."""
    if not results.trials:
        return
    done = len(results.trials) - len(results.of_status("running"))
    yield (
        f"Going on: {count(done, 'trial')} done in "
        f"{format_duration(results.elapsed)} of searching."
    )


def count(number, noun):
    return f"{format_count(number)} {noun}{'' if number == 1 else 's'}"
