"""The steps of `scale_up`, each in a folder of its own."""

import dataclasses
import json
import math
import shutil
import time

from keras_lbreg.analysis import gradient_noise_scale
from keras_lbreg.checks import invalid
from keras_lbreg.comparison import compare
from keras_lbreg.comparison.arms import BASELINE, REFERENCE, SCALING
from keras_lbreg.comparison.statistics import arm_statistics
from keras_lbreg.files import read_json, write_json
from keras_lbreg.formatting import format_duration
from keras_lbreg.techniques import OPTIMIZERS, RATE_RULES, TECHNIQUES, get
from keras_lbreg.training import Arm
from keras_lbreg.training.display import Display
from keras_lbreg.training.examine import examine
from keras_lbreg.training.placement import choose_strategy
from keras_lbreg.training.run import Run
from keras_lbreg.tuning import tune

SCHEMA = 1
FILE = "scale_up.json"

FOLDERS = (
    "1-reference",
    "2-search",
    *(f"2-search-{name}" for name in OPTIMIZERS),
    "2-rates",
    "3-techniques",
    "3-promising",
    "4-confirm",
    "4-longer",
    "curve",
)

# Share of the training data by which steps 1 to 3 judge.
HOLDOUT = 0.2

# Seeds that no other step has. Those of the search count from 0.
RATE_SEED, TECHNIQUE_SEED, PROMISING_SEED, CONFIRM_SEED = 100, 200, 250, 1000

# The best learning rate, its double, all techniques that are kept.
RATE, DOUBLED, KEPT = "rate", "rate_doubled", "rate_kept"

# Trials of the search that are trained again with several seeds.
FINALISTS = 3

FEWEST_TRIALS = 4

# Techniques that are trained again with twice the seeds: few seeds and the
# correction for many techniques would tell hardly any gain from chance.
PROMISING = 2

# Longer runs that are tried where the answer stays behind the small batch.
LONGER = 1.5


class Ladder:
    """The steps of one `scale_up`, each in a folder of its own."""

    def __init__(self, workload, batch_size, path, progress, strategy, devices):
        self.workload = workload
        self.batch_size = batch_size
        self.path = path
        self.say = Display(quiet=not progress).say
        # What every comparison and search is given.
        self.common = {
            "batch_size": batch_size,
            "holdout": HOLDOUT,
            "strategy": strategy,
            "devices": devices,
            "progress": progress,
        }
        self.placement = choose_strategy(strategy, devices)
        self.facts = examine(workload)
        self.state = {}
        self.began = time.monotonic()
        # Raises where the sizes cannot be, before anything is trained.
        self.context = self.plan(Arm("Large")).context

    def plan(self, arm):
        """The resolved `Plan` of an arm."""
        return Run(self.workload, arm, 0, self.batch_size, self.placement).plan

    def check(self, optimizers):
        """Raises where an optimizer cannot take the place of the user's."""
        if isinstance(optimizers, str) or {*optimizers} - {*OPTIMIZERS}:
            expected = f"a list of names out of {', '.join(OPTIMIZERS)}"
            raise invalid("optimizers", expected, optimizers)
        for name in optimizers:
            if reason := get(name).unfit(self.facts.model, self.context):
                raise ValueError(f"The optimizer {name} cannot be: {reason}")

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
            file.unlink(missing_ok=True)
            for folder in FOLDERS:
                shutil.rmtree(self.path / folder, ignore_errors=True)
        elif file.is_file():
            self.state = read_json(file)
            there = self.state.get("experiment", {})
            names = {**there, **experiment}
            changed = [k for k in names if there.get(k) != experiment.get(k)]
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
        """A comparison in a folder of its own, on held-out data."""
        common = {"workload": self.workload, "report": False, **self.common}
        common |= {"arms": arms, "seeds": seeds, "first_seed": first_seed}
        return compare(**{**common, "out": self.path / folder, **options})

    def reference(self):
        """Step 1: what the batches cost, and the noise scale."""
        arms = [REFERENCE, BASELINE, SCALING]
        results = self.compare("1-reference", arms, seeds=1)
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
        values = {k: getattr(found, k) for k in ("noise_scale", "low", "high")}
        # JSON knows no infinity.
        return {k: v if math.isfinite(v) else None for k, v in values.items()}

    def fitting(self, batch_size):
        """Names of techniques that can act on this model, in their order."""
        context = dataclasses.replace(self.context, batch_size=batch_size)
        return [
            t.name
            for t in TECHNIQUES
            if not (t.unfit and t.unfit(self.facts.model, context))
        ]

    def allot(self, reference, budget, trials, seeds, optimizers=()):
        """How many trials, seeds and techniques there will be, and why."""
        if "plan" in self.state:
            return self.state["plan"]
        used = time.monotonic() - self.began
        small, large = (
            max(r.elapsed for r in reference.runs_of(name))
            for name in (REFERENCE, BASELINE)
        )
        names = [
            name
            for name in self.fitting(self.batch_size)
            if name not in {"regime_adaptation", *RATE_RULES}
        ]

        def seconds(trials, seeds, names):
            # DReg trains a layer twice, which 1.3 allows for.
            searches = 1 + len(optimizers)
            runs = searches * trials + seeds * (2 + searches * FINALISTS + 3)
            if names:
                again = 2 * (2 + min(PROMISING, len(names)))
                runs += 1.3 * seeds * (len(names) + 2 + again)
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
            f"Plan: {count} trials{' an optimizer' if optimizers else ''}, {n} "
            f"seeds an arm, techniques: {', '.join(kept) or 'none'}; about "
            f"{format_duration(seconds(count, n, kept))}"
        )
        dropped = [name for name in names if name not in kept]
        if dropped:
            text += f". Left out for the budget: {', '.join(dropped)}"
        plan = {
            "trials": count,
            "seeds": n,
            "techniques": kept,
            "optimizers": [*optimizers],
            "longer": budget is None,
            "text": text,
        }
        self.remember(plan=plan)
        return plan

    def search(self, folder, trials, batch_size=None, optimizer=None):
        """The best arms of a search for the learning rate, best first."""
        regime = self.workload.regime
        size = batch_size or self.batch_size
        ratio = size / regime.base_batch_size
        warm_up = [share * regime.epochs for share in (0.0, 0.05, 0.2)]
        ranges = {"rule": ["sqrt"], "warmup_epochs": warm_up}
        if regime.can_end_lower:
            own = 1.0 if regime.decay is None else regime.final_fraction
            ranges["final_fraction"] = sorted({own, 0.0, 0.1})
        rules = {*RATE_RULES[1:]} - {*OPTIMIZERS}
        # From below the square-root rule to the linear one.
        factors = 0.5, max(2.0, math.sqrt(ratio))
        always = ["lr_scaling"]
        if optimizer:
            rules -= {"nesterov"}
            factors = get(optimizer).rate_range
            always.append(optimizer)
        found = tune(
            self.workload,
            trials=trials,
            out=self.path / folder,
            techniques=[x for x in self.fitting(size) if x in rules],
            always=always,
            ranges={"lr_scaling": ranges},
            learning_rate_factor=factors,
            confirm_seeds=0,
            **{**self.common, "batch_size": size},
        )
        space = found.tuner.hypermodel.space
        best = found.tuner.get_best_hyperparameters(FINALISTS)
        return [space.arm(hp.values) for hp in best]

    def best_rate(self, plan):
        """Step 2: the arm with the best learning rate and no technique."""
        own = {"batch_size": "large", "control": SCALING}
        found = [
            ("Tuned rate", "rate", self.search("2-search", plan["trials"]))
        ]
        for name in plan.get("optimizers", ()):
            folder = f"2-search-{name}"
            arms = self.search(folder, plan["trials"], optimizer=name)
            found.append((f"{get(name).symbol}, tuned rate", name, arms))
        finalists = [
            dataclasses.replace(
                arm, title=f"{title} {n}", name=f"{name}_{n}", **own
            )
            for title, name, arms in found
            for n, arm in enumerate(arms, 1)
        ]
        arms = [BASELINE, SCALING, *finalists]
        results = self.compare("2-rates", arms, plan["seeds"], RATE_SEED)
        best = best_arm(results, results.arm_names)
        if best == BASELINE:
            return Arm("Best rate: as it is", name=RATE, **own)
        if best == SCALING:
            own |= {"name": RATE, "techniques": ["lr_scaling"]}
            return Arm("Best rate: the rule's", **own)
        arm = next(arm for arm in finalists if arm.name == best)
        return dataclasses.replace(arm, title="Best rate", name=RATE)

    def best_techniques(self, plan, rate):
        """Step 3: the best rate with what is better than chance on it."""
        if not plan["techniques"]:
            return rate
        arms = on_top_of(rate, plan["techniques"])
        results = self.compare(
            "3-techniques", arms, plan["seeds"], TECHNIQUE_SEED
        )
        if "promising" not in self.state:
            rows = [r for r in arm_statistics(results) if r.difference.mean > 0]
            rows.sort(key=lambda row: results.sign * row.final.mean)
            found = {f"rate_{name}": name for name in plan["techniques"]}
            names = [found[row.arm] for row in rows if row.arm in found]
            self.remember(promising=names[-PROMISING:])
        names = self.state["promising"]
        if not names:
            return rate
        arms = on_top_of(rate, names)
        options = (2 * plan["seeds"], PROMISING_SEED)
        results = self.compare("3-promising", arms, *options)
        if "kept" not in self.state:
            rows = arm_statistics(results)
            better = {row.arm for row in rows if row.verdict == "better"}
            self.remember(kept=[x for x in names if f"rate_{x}" in better])
        kept = self.state["kept"]
        if len(kept) > 1:
            arms.append(with_techniques(rate, kept, KEPT))
            results = self.compare("3-promising", arms, *options)
        among = [RATE, KEPT, *(f"rate_{name}" for name in kept)]
        best = best_arm(results, among)
        return next(arm for arm in arms if arm.name == best)

    def confirm(self, plan, rate, answer):
        """Step 4: on all training data, judged by the validation data."""
        arms = [REFERENCE, BASELINE, SCALING, rate]
        if answer.name != RATE:
            arms.append(answer)
        options = {"holdout": 0.0, "report": True}
        seeds = (plan["seeds"], CONFIRM_SEED)
        return self.compare("4-confirm", arms, *seeds, **options)

    def try_longer(self, plan, confirmed, answer):
        """The answer with more epochs, where it stays behind; or `None`."""
        rows = {row.arm: row for row in arm_statistics(confirmed)}
        behind = rows[answer.name].gap
        if not plan["longer"] or not behind.mean > 0:
            return None
        regime = self.workload.regime
        regime = regime.with_epochs(math.ceil(LONGER * regime.epochs))
        workload = dataclasses.replace(self.workload, regime=regime)
        options = {"holdout": 0.0, "workload": workload}
        seeds = (plan["seeds"], CONFIRM_SEED)
        return self.compare("4-longer", [answer], *seeds, **options)


def on_top_of(rate, names):
    """The best rate, and each technique on it; with DReg its control."""
    arms = [rate]
    if "dreg" in names:
        # DReg's sum of two losses doubles the gradient.
        factor, own = 2 * rate.learning_rate_factor, rate.techniques
        doubled = Arm("Best rate x2", own, "large", factor, DOUBLED)
        arms.append(dataclasses.replace(doubled, control=RATE))
    return [*arms, *(with_techniques(rate, [name]) for name in names)]


def with_techniques(rate, names, name=None):
    """The best rate with techniques on top."""
    symbols = [t.symbol for t in TECHNIQUES if t.name in names]
    return dataclasses.replace(
        rate,
        title=f"Best rate + {' + '.join(symbols)}",
        name=name or f"rate_{names[0]}",
        techniques={**rate.techniques, **{key: {} for key in names}},
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
