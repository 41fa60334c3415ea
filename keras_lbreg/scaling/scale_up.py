"""From a small batch to a large one, in the order that evidence recommends."""

import dataclasses
import pathlib

from keras_lbreg.checks import check_positive_int, check_positive_number
from keras_lbreg.comparison import Results
from keras_lbreg.files import lock
from keras_lbreg.scaling.curve import Curve, measure_curve
from keras_lbreg.scaling.ladder import Ladder
from keras_lbreg.scaling.report import say, write_report
from keras_lbreg.scaling.script import script
from keras_lbreg.training import Arm
from keras_lbreg.workloads import Workload, get_workload


@dataclasses.dataclass(frozen=True)
class ScaleUp:
    """The answer of `keras_lbreg.scale_up`.

    Args:
        path: The folder of all results.
        arm: The `keras_lbreg.Arm` to train with.
        confirmed: The `keras_lbreg.comparison.Results` on fresh seeds.
        text: What was found, in sentences.
        code: The lines that change the user's script.
        curve: The `Curve`, or `None`.

    Attributes:
        report_path: The HTML report.

    Example:

    >>> found = keras_lbreg.scale_up(workload, batch_size=512)
    >>> print(found)
    """

    path: pathlib.Path
    arm: Arm
    confirmed: Results
    text: str
    code: str
    curve: Curve | None = None

    @property
    def report_path(self):
        return self.path / "report.html"

    def __str__(self):
        parts = [self.text, self.confirmed.table(), self.code]
        return "\n\n".join([*parts, *([str(self.curve)] if self.curve else [])])


def scale_up(
    workload,
    batch_size=None,
    budget=None,
    trials=24,
    seeds=3,
    quick=False,
    curve=None,
    optimizers=(),
    out=None,
    strategy="one",
    devices=None,
    fresh=False,
    progress=True,
):
    """Finds what to write to train a workload with a large batch.

    Five steps, each on seeds of its own:

    1. The small batch, the large batch as it is, the square-root rule, and the
       gradient noise scale: beyond about that batch a larger one saves few
       updates.
    2. The learning rate around and above the square-root rule, with and
       without warm-up, with a lower final rate, and with Nesterov momentum or
       the rule of adaptive optimizers, where the optimizer is one for them. A
       search on held-out data; its best are trained again with several seeds.
    3. Each technique on the *best* of these, on held-out data. The two that
       gain most are trained again, with twice as many seeds that have not been
       seen. One is kept only where it is better than chance on these,
       corrected for their number.
    4. The answer on all training data and fresh seeds, beside the small batch,
       the large batch, the square-root rule and the best rate alone.
    5. `scale_up.json`, a report, and the lines to paste into the script.

    Called again after an interruption it goes on where it stopped.

    Args:
        workload: A `keras_lbreg.Workload`, or what
            `keras_lbreg.get_workload` takes.
        batch_size: The large batch size. Defaults to the workload's.
        budget: Optional number of minutes for all five steps. Trials,
            techniques and seeds are left out for it, in this order, down to
            the least that the steps need.
        trials: Trials of the search. Defaults to `24`.
        seeds: Seeds of each arm in steps 2 to 4. Defaults to `3`.
        quick: Whether to look only: 6 trials, 2 seeds. Defaults to `False`.
        curve: Optional batch sizes for each of which step 2 is repeated,
            small: steps and time to the small batch's objective by batch.
        optimizers: Other optimizers that step 2 searches a learning rate for,
            as many trials each: `"lars"` in the place of SGD, `"lamb"` in that
            of Adam or AdamW. Defaults to none: with a tuned rate they are
            rarely better (Nado et al.).
        out: Folder of the results. Defaults to `runs/scale-up-<workload>`.
        strategy: Devices, as in `keras_lbreg.compare`.
        devices: Number of devices. Defaults to all.
        fresh: Whether to delete earlier results of the folder first.
        progress: Whether to show what goes on.

    Returns:
        A `keras_lbreg.scaling.ScaleUp`; print it for the answer.

    Raises:
        ValueError: Something does not fit together, before any training; or
            the small batch itself cannot be trained.

    Example:

    >>> found = keras_lbreg.scale_up(workload, batch_size=512, budget=10)
    >>> print(found.code)

    Reference:

    - [Shallue et al., 2019](https://arxiv.org/abs/1811.03600)
    - [McCandlish et al., 2018](https://arxiv.org/abs/1812.06162)
    - [Nado et al., 2021](https://arxiv.org/abs/2102.06356)
    """
    check_positive_int("trials", trials)
    check_positive_int("seeds", seeds)
    if budget is not None:
        check_positive_number("budget", budget)
    for size in curve or ():
        check_positive_int("curve", size)
    if quick:
        trials, seeds = min(trials, 6), min(seeds, 2)
    if not isinstance(workload, Workload):
        workload = get_workload(workload)
    ladder = Ladder(
        workload,
        batch_size or workload.batch_size,
        pathlib.Path(out or f"runs/scale-up-{workload.name}"),
        progress,
        strategy,
        devices,
    )
    ladder.check(optimizers)
    wanted = {"budget": budget, "trials": trials, "seeds": seeds}
    wanted |= {"optimizers": [*optimizers]} if optimizers else {}
    with lock(ladder.path):
        ladder.open(wanted, fresh)
        ladder.say("Step 1 of 5: the batches as they are, and the noise scale")
        plan = ladder.allot(ladder.reference(), **wanted)
        ladder.say(plan["text"])
        ladder.say("Step 2 of 5: the learning rate")
        rate = ladder.best_rate(plan)
        ladder.say("Step 3 of 5: techniques on the best rate")
        answer = ladder.best_techniques(plan, rate)
        ladder.say("Step 4 of 5: the answer on fresh seeds")
        confirmed = ladder.confirm(plan, rate, answer)
        longer = ladder.try_longer(plan, confirmed, answer)
        found = None
        if curve:
            ladder.say("Where it stops scaling")
            found = measure_curve(ladder, sorted({*curve}))
        code = script(ladder.facts, ladder.plan(answer), ladder.placement)
        text = say(ladder, confirmed, rate, answer, longer)
        result = ScaleUp(ladder.path, answer, confirmed, text, code, found)
        ladder.remember(
            answer=vars(answer), rate=vars(rate), text=text, code=code
        )
        write_report(ladder, result)
        ladder.say(f"Step 5 of 5: the report is {result.report_path}")
    return result
