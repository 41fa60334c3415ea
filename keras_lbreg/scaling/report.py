"""What `scale_up` says: sentences, and the page with every step."""

from keras_lbreg.comparison import read_results
from keras_lbreg.comparison.arms import BASELINE, REFERENCE
from keras_lbreg.comparison.plots import make_plots
from keras_lbreg.comparison.statistics import (
    arm_statistics,
    judge,
    objective_words,
    quantity,
    share,
)
from keras_lbreg.comparison.table import columns, table_rows
from keras_lbreg.files import write_file
from keras_lbreg.formatting import format_duration
from keras_lbreg.page import render_page
from keras_lbreg.training.display import score

STEPS = {
    "1-reference": "Step 1: the small and the large batch, on held-out data",
    "2-rates": "Step 2: the best learning rates of the search, on held-out "
    "data",
    "3-techniques": "Step 3: each technique on the best rate, on held-out data",
    "3-promising": "Step 3: the most promising again, on seeds of their own",
    "4-longer": "With more epochs",
}
SHOWN = ("objective_by_epoch", "objective_by_time", "gap_closed")


def say(ladder, confirmed, rate, answer, longer):
    """What was found, in sentences."""
    rows = {row.arm: row for row in arm_statistics(confirmed)}
    words = objective_words(confirmed)
    small, gap, mine = rows[REFERENCE], rows[BASELINE].gap, rows[answer.name]
    text = [
        f"From batch {ladder.workload.regime.base_batch_size:,} to "
        f"{ladder.batch_size:,}, {answer_words(answer)}"
    ]
    [behind] = judge(confirmed, [(answer.name, REFERENCE)])
    if gap.mean > 0:
        text.append(
            f"As it is, the large batch costs {quantity(confirmed, gap.mean)} "
            f"of {words}; the answer gives back {share(mine)} of it on "
            f"{len(confirmed.manifest['seeds'])} fresh seeds."
        )
    else:
        text.append(f"The large batch as it is costs no {words} here.")
    if behind["verdict"] == "worse":
        text.append(
            f"It stays {quantity(confirmed, mine.gap.mean)} behind the small "
            "batch at equal epochs."
        )
    else:
        text.append("What is left is no more than chance.")
    if longer is not None:
        [row] = arm_statistics(longer)
        text.append(
            f"In {longer.arms[0]['epochs']} epochs it reaches "
            f"{score(longer, row.final.mean)}, the small batch "
            f"{score(confirmed, small.final.mean)} in "
            f"{confirmed.arms[0]['epochs']}."
        )
    text += breakdown_words(ladder, answer)
    tried = len(ladder.state["plan"]["techniques"])
    if answer.name == rate.name and tried:
        text.append(
            f"None of {tried} techniques does better than chance on the best "
            "learning rate."
        )
    elif answer.name != rate.name:
        [over] = judge(confirmed, [(answer.name, rate.name)])
        words = {"better": "better than", "worse": "worse than"}
        words = words.get(over["verdict"], "within chance of")
        text.append(f"On fresh seeds it is {words} the best rate alone.")
    text.append(
        f"Training takes {format_duration(mine.time.mean)} on this machine, "
        f"with the small batch {format_duration(small.time.mean)}."
    )
    return " ".join([*text, noise_words(ladder)])


def breakdown_words(ladder, answer):
    """A warning where some seeds of the answer fail in step 3, or nothing."""
    if not answer.techniques:
        return []
    rates = read_results(ladder.path / "2-rates")
    large = [rates.sign * run.final for run in rates.runs_of(BASELINE)]
    mine = [
        rates.sign * run.final
        for folder in ("3-techniques", "3-promising")
        if (ladder.path / folder).is_dir()
        for run in read_results(ladder.path / folder).runs_of(answer.name)
    ]
    behind = [x for x in mine if not x >= min(large)]
    if not behind or 2 * len(behind) > len(mine):
        return []
    return [
        f"But {len(behind)} of its {len(mine)} runs on held-out data end "
        "behind every run of the large batch as it is: this learning rate is "
        "close to where training breaks down, and a smaller one is safer."
    ]


def answer_words(answer):
    """What the answer makes of the learning rate, and its techniques."""
    others = dict(answer.techniques)
    settings = others.pop("lr_scaling", None)
    words = "keep the learning rate"
    if settings is not None:
        words = f"take the {settings.get('rule', 'sqrt')} rule"
        if answer.learning_rate_factor != 1:
            words += f" times {answer.learning_rate_factor:.3g}"
        if settings.get("warmup_epochs"):
            words += f", warm-up over {settings['warmup_epochs']:.3g} epochs"
        if settings.get("final_fraction") not in (None, 1.0):
            words += f", falling to {settings['final_fraction']:.3g} of it"
    return ", ".join([words, *others]) + "."


def noise_words(ladder):
    """What the noise scale says of the batch that was asked for."""
    noise = ladder.state["noise"]
    if "reason" in noise:
        return f"The gradient noise scale is not known: {noise['reason']}."
    value, low, high = noise["noise_scale"], noise["low"], noise["high"]
    if value is None or high is None:
        return (
            "In the middle of the small batch's training the gradient is all "
            "noise at the batches measured: the noise scale is beyond 512."
        )
    text = (
        f"The gradient noise scale there is {value:,.0f} (90 % interval "
        f"{low:,.0f} to {high:,.0f}): batches beyond about that save few "
        "updates"
    )
    if ladder.batch_size > high:
        text += f", and {ladder.batch_size:,} is beyond it"
    return f"{text}."


def write_report(ladder, result):
    """Writes `report.html` and `plots/*.png` into the ladder's folder."""
    plots = [p for p in make_plots(result.confirmed) if p.name in SHOWN]
    if result.curve is not None:
        plots.insert(0, result.curve.plot())
    for plot in plots:
        write_file(result.path / "plots" / f"{plot.name}.png", plot.png())
    steps = [
        (title, read_results(result.path / name))
        for name, title in STEPS.items()
        if (result.path / name).is_dir()
    ]
    created = result.confirmed.manifest["created"]
    content = {
        "title": f"Scaling {ladder.workload.title} to batch "
        f"{ladder.batch_size:,}",
        "headline": result.text,
        "facts": [ladder.state["plan"]["text"], created[:10]],
        "code": result.code,
        "confirmed": result.confirmed,
        "columns": columns,
        "rows": table_rows,
        "steps": steps,
        "curve": result.curve and result.curve.text(),
        "figures": plots,
    }
    page = render_page("scale_up.html.j2", content, __package__)
    write_file(result.report_path, page)
