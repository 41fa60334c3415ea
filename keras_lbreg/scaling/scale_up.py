"""From a small batch to a large one, in the order that evidence recommends."""

import dataclasses
import json
import math
import numbers
import pathlib
import shutil
import time

from keras_lbreg.analysis import gradient_noise_scale
from keras_lbreg.checks import check_positive_int
from keras_lbreg.comparison import Results, compare
from keras_lbreg.comparison.arms import BASELINE, REFERENCE, SCALING
from keras_lbreg.comparison.statistics import arm_statistics, verdicts
from keras_lbreg.files import lock, read_json, write_json
from keras_lbreg.formatting import format_duration
from keras_lbreg.scaling.curve import Curve, measure_curve
from keras_lbreg.scaling.report import say, write_report
from keras_lbreg.scaling.script import script
from keras_lbreg.techniques import RATE_RULES, TECHNIQUES, Context
from keras_lbreg.training import Arm
from keras_lbreg.training.display import Display
from keras_lbreg.training.examine import examine
from keras_lbreg.training.placement import choose_strategy
from keras_lbreg.training.run import Run
from keras_lbreg.tuning import tune
from keras_lbreg.workloads import Workload, get_workload

SCHEMA = 1
FILE = "scale_up.json"

# Share of the training data by which steps 2 and 3 choose.
HOLDOUT = 0.2

# Seeds that no other step has. Those of the search count from 0.
RATE_SEED, TECHNIQUE_SEED, CONFIRM_SEED = 100, 200, 1000

# The best learning rate, its double, all techniques that are kept.
RATE, DOUBLED, KEPT = "rate", "rate_doubled", "rate_kept"

# Trials of the search that are trained again with several seeds.
FINALISTS = 3

FEWEST_TRIALS = 4

# Longer runs that are tried where the answer stays behind the small batch.
LONGER = 1.5


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
    out=None,
    strategy="one",
    devices=None,
    fresh=False,
    progress=True,
):
    """Finds what to write to train a workload with a large batch.

    Five steps, each on seeds of its own:

    1. The small batch, the large batch as it is, the square-root rule, and the
       gradient noise scale: beyond about that batch a larger one buys little.
    2. The learning rate around and above the square-root rule, with and
       without warm-up, with a lower final rate, and with Nesterov momentum or
       the rule of adaptive optimizers, where the optimizer is one for them. A
       search on held-out data; its best are trained again with several seeds.
    3. Each technique on the *best* of these, on held-out data. It is kept only
       where it is better than chance, corrected for their number.
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
    check_budget(budget)
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
        Display(quiet=not progress),
        strategy,
        devices,
    )
    wanted = {"budget": budget, "trials": trials, "seeds": seeds}
    with lock(ladder.path):
        ladder.open(wanted, fresh)
        return ladder.climb(wanted, curve)


def check_budget(budget):
    valid = isinstance(budget, numbers.Real) and 0 < budget < math.inf
    if budget is not None and not valid:
        raise ValueError(
            "Invalid value for argument `budget`. Expected a positive number "
            f"of minutes, or None. Received: budget={budget!r}"
        )


class Ladder:
    """The steps of one `scale_up`, each in a folder of its own."""

    def __init__(self, workload, batch_size, path, display, strategy, devices):
        self.workload = workload
        self.batch_size = batch_size
        self.path = path
        self.display = display
        self.common = {
            "batch_size": batch_size,
            "strategy": strategy,
            "devices": devices,
            "progress": display,
        }
        self.placement = choose_strategy(strategy, devices)
        self.facts = examine(workload)
        self.state = {}
        # All that can be wrong with sizes is, before anything is trained.
        self.plan(Arm("Large"))

    def plan(self, arm):
        """The resolved `Plan` of an arm."""
        return Run(self.workload, arm, 0, self.batch_size, self.placement).plan

    def open(self, wanted, fresh):
        """Reads what an earlier call has left, or begins."""
        experiment = {
            "schema": SCHEMA,
            "workload": self.facts.describe(self.workload),
            "regime": self.workload.regime.get_config(),
            "batch_size": self.batch_size,
            "placement": [self.placement.strategy, self.placement.devices],
        }
        experiment = json.loads(json.dumps({**experiment, **wanted}))
        file = self.path / FILE
        if fresh:
            for part in (FILE, "1-reference", "2-search", "2-rates"):
                remove(self.path / part)
            for part in ("3-techniques", "4-confirm", "4-longer", "curve"):
                remove(self.path / part)
        elif file.is_file():
            self.state = read_json(file)
            there = self.state.get("experiment", {})
            changed = [k for k, v in experiment.items() if there.get(k) != v]
            if changed:
                raise ValueError(
                    f"The folder {self.path} holds another search "
                    f"({', '.join(changed)} differ). Write to another folder, "
                    "or start afresh, which deletes what is there."
                )
        elif any(self.path.glob("*/*")):
            raise ValueError(
                f"The folder {self.path} holds other results. Write to another "
                "folder."
            )
        self.remember(experiment=experiment)

    def remember(self, **values):
        """Writes what was found or decided; it is not decided again."""
        self.state |= values
        write_json(self.path / FILE, self.state)

    def compare(self, folder, arms, seeds, first_seed=0, **options):
        defaults = {"holdout": HOLDOUT, "report": False, **self.common}
        options = {**defaults, **options}
        return compare(
            options.pop("workload", self.workload),
            arms=arms,
            seeds=seeds,
            first_seed=first_seed,
            out=self.path / folder,
            **options,
        )

    def climb(self, wanted, curve):
        """All steps; what is done is read, not done again."""
        say_step = self.display.say
        began = time.monotonic()
        say_step("Step 1 of 5: small batch, large batch, noise scale", "bold")
        reference = self.reference()
        if "plan" not in self.state:
            used = time.monotonic() - began
            self.remember(plan=self.allot(reference, used, **wanted))
        plan = self.state["plan"]
        say_step(plan["text"])
        say_step("Step 2 of 5: the learning rate", "bold")
        rate = self.best_rate(plan)
        say_step("Step 3 of 5: techniques on the best rate", "bold")
        answer = self.best_techniques(plan, rate)
        say_step("Step 4 of 5: the answer on fresh seeds", "bold")
        confirmed = self.confirm(plan, rate, answer)
        longer = self.try_longer(plan, confirmed, answer)
        code = script(self.facts, self.plan(answer), self.placement)
        text = say(self, confirmed, rate, answer, longer)
        self.remember(
            answer=vars(answer), rate=vars(rate), text=text, code=code
        )
        found = None
        if curve:
            say_step("Where it stops scaling", "bold")
            found = measure_curve(self, sorted({*curve}))
        result = ScaleUp(self.path, answer, confirmed, text, code, found)
        write_report(self, result)
        say_step("Step 5 of 5: the report is written", "bold")
        return result

    def reference(self):
        """Step 1: what the batches cost, and the noise scale."""
        results = self.compare(
            "1-reference", [REFERENCE, BASELINE, SCALING], seeds=1
        )
        small = results.runs_of(REFERENCE)[0]
        if small.status != "finished":
            raise ValueError(
                "The small batch itself cannot be trained: "
                f"{small.reason}. Expected a workload that trains well today."
            )
        if "noise" not in self.state:
            self.remember(noise=self.noise())
        return results

    def noise(self):
        """The gradient noise scale in the middle of the small batch's run."""
        data = self.workload.train_data
        if callable(data) or not isinstance(data, tuple) or len(data) > 2:
            return {"reason": "it is measured on arrays x and y alone"}
        small = Arm("Small batch", (), "small")
        run = Run(self.workload, small, 0, self.batch_size)
        model = run.build()
        run.fit(model, until=0.5)
        try:
            found = gradient_noise_scale(
                run.export(model), *data, small_batch=16, big_batch=512
            )
        except (ValueError, TypeError) as error:
            return {"reason": str(error).splitlines()[0]}
        numbers = (found.noise_scale, found.low, found.high)
        names = ("noise_scale", "low", "high")
        return {
            # JSON knows no infinity.
            name: value if math.isfinite(value) else None
            for name, value in zip(names, numbers, strict=True)
        }

    def techniques(self):
        """Names of techniques to try: those that can act on this model."""
        context = self.context()
        return [
            t.name
            for t in TECHNIQUES
            if t.name not in {"regime_adaptation", *RATE_RULES}
            and not (t.unfit and t.unfit(self.facts.model, context))
        ]

    def context(self):
        return Context(
            seed=0,
            base_batch_size=self.workload.regime.base_batch_size,
            batch_size=self.batch_size,
            replicas=self.placement.replicas,
        )

    def allot(self, reference, used, budget, trials, seeds):
        """How many trials, seeds and techniques there will be, and why."""
        small, large = (
            max(r.elapsed for r in reference.runs_of(name))
            for name in (REFERENCE, BASELINE)
        )
        names = self.techniques()

        def seconds(trials, seeds, names):
            # DReg trains a layer twice, which 1.3 allows for.
            runs = trials + seeds * (2 + FINALISTS + 3)
            runs += 1.3 * seeds * (len(names) + 2 if names else 0)
            return runs * large + seeds * small

        left = math.inf if budget is None else 60 * budget - used
        choices = [
            (count, n, names[:length])
            for n in sorted({seeds, min(seeds, 2)}, reverse=True)
            for length in range(len(names), -1, -1)
            for count in range(trials, min(trials, FEWEST_TRIALS) - 1, -1)
        ]
        fits = (c for c in choices if seconds(*c) <= left)
        count, n, kept = next(fits, choices[-1])
        text = (
            f"Plan: {count} trials, {n} seeds an arm, techniques: "
            f"{', '.join(kept) or 'none'}; about "
            f"{format_duration(seconds(count, n, kept))}"
        )
        dropped = [name for name in names if name not in kept]
        if dropped:
            text += f". Left out for the budget: {', '.join(dropped)}"
        return {
            "trials": count,
            "seeds": n,
            "techniques": kept,
            "longer": budget is None,
            "text": text,
        }

    def search(self, folder, trials, batch_size=None):
        """The best arms of a search for the learning rate, best first."""
        regime = self.workload.regime
        size = batch_size or self.batch_size
        epochs, ratio = regime.epochs, size / regime.base_batch_size
        ranges = {
            "rule": ["sqrt"],
            "warmup_epochs": [0.0, 0.05 * epochs, 0.2 * epochs],
        }
        if regime.can_end_lower:
            own = 1.0 if regime.decay is None else regime.final_fraction
            ranges["final_fraction"] = sorted({own, 0.0, 0.1})
        context = dataclasses.replace(self.context(), batch_size=size)
        rules = [
            t.name
            for t in TECHNIQUES
            if t.name in RATE_RULES[1:]
            and not t.unfit(self.facts.model, context)
        ]
        found = tune(
            self.workload,
            trials=trials,
            engine="random",
            holdout=HOLDOUT,
            out=self.path / folder,
            techniques=rules,
            always=("lr_scaling",),
            ranges={"lr_scaling": ranges},
            # From below the square-root rule to the linear one.
            learning_rate_factor=(0.5, max(2.0, math.sqrt(ratio))),
            confirm_seeds=0,
            **{**self.common, "batch_size": size},
        )
        space = found.tuner.hypermodel.space
        best = found.tuner.get_best_hyperparameters(FINALISTS)
        return [space.arm(hp.values) for hp in best]

    def best_rate(self, plan):
        """Step 2: the arm with the best learning rate and no technique."""
        finalists = [
            dataclasses.replace(
                arm,
                title=f"Tuned rate {place}",
                name=f"rate_{place}",
                batch_size="large",
                control=SCALING,
            )
            for place, arm in enumerate(
                self.search("2-search", plan["trials"]), 1
            )
        ]
        arms = [BASELINE, SCALING, *finalists]
        results = self.compare("2-rates", arms, plan["seeds"], RATE_SEED)
        best = best_arm(results, results.arm_names)
        by_name = {arm.name: arm for arm in finalists}
        if best in by_name:
            return dataclasses.replace(
                by_name[best], title="Best rate", name=RATE, group="control"
            )
        techniques = ("lr_scaling",) if best == SCALING else ()
        title = "Best rate: the rule's" if techniques else "Best rate: as it is"
        return Arm(
            title, techniques, name=RATE, group="control", control=SCALING
        )

    def best_techniques(self, plan, rate):
        """Step 3: the best rate with what is better than chance on it."""
        names = plan["techniques"]
        if not names:
            return rate
        arms = [rate]
        if "dreg" in names:
            # DReg's sum of two losses doubles the gradient.
            arms.append(
                dataclasses.replace(
                    rate,
                    title="Best rate x2",
                    name=DOUBLED,
                    learning_rate_factor=2 * rate.learning_rate_factor,
                    control=RATE,
                )
            )
        arms += [with_techniques(rate, [name]) for name in names]
        options = (plan["seeds"], TECHNIQUE_SEED)
        results = self.compare("3-techniques", arms, *options)
        judged = verdicts(results)
        kept = [
            arm.name for arm in arms[1:] if judged[arm.name].word == "better"
        ]
        chosen = [name for name in names if f"rate_{name}" in kept]
        candidates = [RATE, *kept]
        if len(chosen) > 1:
            arms.append(with_techniques(rate, chosen, KEPT))
            results = self.compare("3-techniques", arms, *options)
            candidates.append(KEPT)
        self.remember(kept=kept)
        best = best_arm(results, candidates)
        return next(arm for arm in arms if arm.name == best)

    def confirm(self, plan, rate, answer):
        """Step 4: on all training data, judged by the validation data."""
        arms = [REFERENCE, BASELINE, SCALING, rate]
        if answer.name != RATE:
            arms.append(answer)
        return self.compare(
            "4-confirm",
            arms,
            plan["seeds"],
            CONFIRM_SEED,
            holdout=0.0,
            report=True,
        )

    def try_longer(self, plan, confirmed, answer):
        """The answer with more epochs, where it stays behind; or `None`."""
        rows = {row.arm: row for row in arm_statistics(confirmed)}
        behind = rows[answer.name].gap
        if not plan["longer"] or not behind.mean > 0:
            return None
        regime = self.workload.regime
        regime = regime.with_epochs(math.ceil(LONGER * regime.epochs))
        return self.compare(
            "4-longer",
            [answer],
            plan["seeds"],
            CONFIRM_SEED,
            holdout=0.0,
            workload=dataclasses.replace(self.workload, regime=regime),
        )


def with_techniques(rate, names, name=None):
    """The best rate with techniques on top."""
    symbols = [t.symbol for t in TECHNIQUES if t.name in names]
    return dataclasses.replace(
        rate,
        title=f"Best rate + {' + '.join(symbols)}",
        name=name or f"rate_{names[0]}",
        techniques={**rate.techniques, **{key: {} for key in names}},
        group="alone",
        control=DOUBLED if names == ["dreg"] else RATE,
    )


def best_arm(results, names):
    """The arm with the best mean, of those that finished with every seed."""
    rows = [row for row in arm_statistics(results) if row.arm in names]
    whole = [r for r in rows if r.finished == len(results.manifest["seeds"])]
    if not whole:
        raise ValueError(
            f"No run in {results.path} has finished with every seed: none of "
            f"{', '.join(names)} can be trained with this batch size."
        )
    return max(whole, key=lambda row: results.sign * row.final.mean).arm


def remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
