"""From a small batch to a large one: the steps, the answer, the lines."""

import contextlib
import functools
import json
import math
import types

import keras
import numpy as np
import pytest

import keras_lbreg as lbreg
from keras_lbreg.scaling import curve as curves
from keras_lbreg.scaling import ladder as ladders
from keras_lbreg.scaling import report
from keras_lbreg.scaling.ladder import Ladder
from keras_lbreg.scaling.script import script
from keras_lbreg.techniques import RATE_RULES, get
from keras_lbreg.training.run import Run
from tests.checks.small_workload import blobs, build_model, small_workload
from tests.comparison.fake_results import results_of

QUICK = {"trials": 2, "seeds": 2, "progress": False}
# After which it is stopped.
STEPS = ("best_rate", "confirm")


@contextlib.contextmanager
def few():
    """One arm of the search is trained again, and two techniques are tried."""
    tried = (*RATE_RULES, "ghost_batch_norm", "gradient_noise")
    register = [t for t in ladders.TECHNIQUES if t.name in tried]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ladders, "FINALISTS", 1)
        patch.setattr(ladders, "PROMISING", 1)
        patch.setattr(ladders, "TECHNIQUES", register)
        patch.setattr(curves, "TRIALS", 1)
        patch.setattr(curves, "SEEDS", 1)
        yield


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """The answer of one that was stopped after two steps and called again.

    With the files of the runs that had ended before, and when these had.
    """
    path, ended = tmp_path_factory.mktemp("whole"), {}
    arguments = {"workload": small_workload(), "out": path, **QUICK}
    for step in STEPS:
        original = getattr(Ladder, step)

        def stop(*args, original=original):
            original(*args)
            raise KeyboardInterrupt

        with few(), pytest.MonkeyPatch.context() as patch:
            patch.setattr(Ladder, step, stop)
            with pytest.raises(KeyboardInterrupt):
                lbreg.scale_up(**arguments)
        for file in path.rglob("summary.json"):
            ended.setdefault(file, file.stat().st_mtime_ns)
    with few():
        return lbreg.scale_up(curve=[24], **arguments), ended


@pytest.fixture
def found(interrupted):
    return interrupted[0]


def test_the_answer(found):
    content = json.loads((found.path / "scale_up.json").read_text("utf-8"))
    assert content["answer"]["name"] == found.arm.name
    assert found.confirmed.complete
    names = found.confirmed.arm_names
    assert names[:4] == ["small_batch", "large_batch", "lr", "rate"]
    assert set(found.confirmed.manifest["seeds"]) == {1000, 1001}
    # What chooses has not seen the validation data, what confirms has.
    for folder, holdout in {"2-rates": 0.2, "4-confirm": 0.0}.items():
        manifest = found.path / folder / "manifest.json"
        config = json.loads(manifest.read_text("utf-8"))["config"]
        assert config["holdout"] == holdout
    for text in (found.text, str(found)):
        assert "fresh seeds" in text or "costs no" in text
    page = found.report_path.read_text("utf-8")
    assert "What to write" in page
    assert "perfect scaling" in page


def test_seeds_of_the_steps_are_apart(found):
    seeds = []
    for manifest in found.path.glob("*/manifest.json"):
        seeds.append(set(json.loads(manifest.read_text("utf-8"))["seeds"]))
    confirm = [s for s in seeds if 1000 in s]
    assert not set.union(*confirm) & set.union(
        *(s for s in seeds if s not in confirm)
    )


def test_goes_on_after_an_interruption(interrupted):
    """Nothing that has ended is trained again."""
    found, ended = interrupted
    steps = {file.relative_to(found.path).parts[0] for file in ended}
    assert {"1-reference", "2-search", "2-rates", "4-confirm"} <= steps
    for file, time in ended.items():
        assert file.stat().st_mtime_ns == time, file


@pytest.mark.slow
def test_an_interruption_changes_nothing(found, tmp_path):
    with few():
        whole = lbreg.scale_up(small_workload(), out=tmp_path, **QUICK)
    assert vars(whole.arm) == vars(found.arm)
    assert whole.code == found.code
    finals = [[run.final for run in x.confirmed.runs] for x in (whole, found)]
    assert finals[0] == finals[1]


def test_another_experiment_is_refused(found):
    with pytest.raises(ValueError, match=r"another search.*batch_size"):
        lbreg.scale_up(
            small_workload(), 16, curve=[24], out=found.path, **QUICK
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": 0}, "`budget`"),
        ({"budget": math.inf}, "`budget`"),
        ({"trials": 0}, "`trials`"),
        ({"seeds": 1.5}, "`seeds`"),
        ({"curve": [0]}, "`curve`"),
        ({"batch_size": 4}, "`batch_size`"),
        ({"batch_size": 1000}, "`batch_size`"),
        ({"strategy": "two"}, "`strategy`"),
        ({"optimizers": ["adam"]}, "`optimizers`"),
        ({"optimizers": "lars"}, "`optimizers`.*a list of names"),
        ({"optimizers": ["lamb"]}, "takes the place of Adam or AdamW"),
    ],
)
def test_bad_arguments(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        lbreg.scale_up(small_workload(), out=tmp_path / "new", **arguments)
    assert not (tmp_path / "new" / "1-reference").exists()


@pytest.fixture
def ladder(tmp_path):
    return Ladder(small_workload(), 24, tmp_path, False, "one", None)


RATE = lbreg.Arm("Best rate", ["lr_scaling"], name="rate", control="lr")
FINALS = {
    "rate": [0.90, 0.91, 0.92, 0.91],
    # Better by seed, beyond chance.
    "rate_ghost_batch_norm": [0.94, 0.95, 0.96, 0.951],
    # The best mean, by one lucky seed.
    "rate_gradient_noise": [0.90, 0.90, 0.92, 1.2],
    "rate_gradient_mix": [0.90, 0.91, 0.92, 0.91],
}
# What the others do where that one does not matter.
BY_CHANCE = [0.95, 0.90, 0.93, 0.91]


@pytest.fixture
def compared(ladder, monkeypatch):
    """Gives the ladder made-up finals; what it has compared, by folder."""
    finals, seen = dict(FINALS), {}

    def compare(folder, arms, seeds, first_seed):
        seen[folder] = [arm.name for arm in arms], seeds, first_seed
        results = results_of({a.name: finals[a.name] for a in arms})
        for described, arm in zip(results.arms, arms, strict=True):
            described["control"] = arm.control
        return results

    monkeypatch.setattr(ladder, "compare", compare)
    return finals, seen


PLAN = {
    "techniques": ["ghost_batch_norm", "gradient_noise", "gradient_mix"],
    "seeds": 4,
}


@pytest.mark.parametrize("better", [True, False])
def test_techniques_are_kept_only_beyond_chance(ladder, compared, better):
    finals, seen = compared
    if not better:
        finals["rate_ghost_batch_norm"] = BY_CHANCE
    answer = ladder.best_techniques(PLAN, RATE)
    # The two that gain most are judged on twice the seeds, and others.
    names, seeds, first_seed = seen["3-promising"]
    assert names[0] == "rate"
    assert set(names[1:]) == {"rate_ghost_batch_norm", "rate_gradient_noise"}
    assert seeds == 8
    assert first_seed > seen["3-techniques"][2] + 4
    if better:
        assert answer.name == "rate_ghost_batch_norm"
        assert set(answer.techniques) == {"lr_scaling", "ghost_batch_norm"}
    else:
        assert answer is RATE


def test_what_gains_nothing_is_not_trained_again(ladder, compared):
    finals, seen = compared
    for name in finals:
        finals[name] = [x - 0.01 * (name != "rate") for x in FINALS["rate"]]
    assert ladder.best_techniques(PLAN, RATE) is RATE
    assert set(seen) == {"3-techniques"}


def test_what_is_kept_is_tried_together(ladder, compared):
    finals, seen = compared
    finals["rate_gradient_noise"] = [x + 0.03 for x in FINALS["rate"]]
    finals["rate_kept"] = [x + 0.06 for x in FINALS["rate"]]
    answer = ladder.best_techniques(PLAN, RATE)
    assert answer.name == "rate_kept"
    assert {*answer.techniques} == {"lr_scaling", *PLAN["techniques"][:2]}
    assert "rate_kept" in seen["3-promising"][0]


def test_dreg_has_the_doubled_rate_as_its_control(ladder, compared):
    finals, seen = compared
    finals["rate_dreg"] = [x + 0.03 for x in FINALS["rate"]]
    finals["rate_doubled"] = [x + 0.029 for x in finals["rate_dreg"]]
    plan = {"techniques": ["dreg"], "seeds": 4}
    assert ladder.best_techniques(plan, RATE) is RATE
    finals["rate_doubled"] = FINALS["rate"]
    ladder.state.clear()
    assert ladder.best_techniques(plan, RATE).name == "rate_dreg"
    assert seen["3-promising"][0] == ["rate", "rate_doubled", "rate_dreg"]


@pytest.mark.parametrize(
    ("finals", "said"),
    [
        ([0.95, 0.96, 0.80, 0.95], "1 of its 4 runs"),
        ([0.95, 0.96, math.nan, 0.95], "1 of its 4 runs"),
        ([0.95, 0.96, 0.92, 0.95], ""),
    ],
)
def test_it_warns_where_some_seeds_break_down(
    ladder, finals, said, monkeypatch
):
    results = {
        "2-rates": results_of({"large_batch": [0.91, 0.92, 0.9, 0.92]}),
        "3-techniques": results_of({"rate": finals}),
    }
    (ladder.path / "3-techniques").mkdir(parents=True)
    monkeypatch.setattr(report, "read_results", lambda path: results[path.name])
    words = report.breakdown_words(ladder, RATE)
    assert said in "".join(words)
    assert bool(words) is bool(said)


def reference(seconds):
    """Runs of step 1, of which one takes so long."""
    runs = [types.SimpleNamespace(elapsed=seconds)]
    return types.SimpleNamespace(runs_of=lambda name: runs)


@pytest.mark.parametrize(
    ("minutes", "trials", "seeds", "techniques"),
    [
        (None, 24, 3, 5),
        (100, 24, 3, 5),
        # 10 s a run: what fits is left.
        (15.5, 7, 3, 5),
        (7, 14, 3, 0),
        (1, 4, 2, 0),
    ],
)
def test_what_fits_a_budget(ladder, minutes, trials, seeds, techniques):
    plan = ladder.allot(reference(10), minutes, 24, 3)
    assert (plan["trials"], plan["seeds"]) == (trials, seeds)
    assert len(plan["techniques"]) == techniques
    assert ("Left out" in plan["text"]) == (techniques < 5)


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(momentum=0.9, global_clipnorm=1.0),
    "adamw": lambda: keras.optimizers.AdamW(weight_decay=0.01, beta_2=0.98),
    "wrapped": lambda: lbreg.GradientNoise(keras.optimizers.Adam(), alpha=0.1),
}
ARMS = {
    "rate": {"lr_scaling": {"warmup_epochs": 1.0}},
    "rules": {"adam_scaling": {}, "nesterov": {}},
    "optimizer": {"lr_scaling": {}, "lars": {}, "lamb": {}},
    "ghosts": {"lr_scaling": {}, "ghost_batch_norm": {"ghost_batch_size": 6}},
    "noise": {"lr_scaling": {}, "gradient_noise": {"alpha": 0.01}},
    "dreg": {"lr_scaling": {}, "dreg": {"weight": 0.1}},
}
REGIMES = {
    "milestones": lbreg.Regime(8, 0.02, epochs=4, milestones={2: 0.002}),
    "decay": lbreg.Regime(8, 0.02, epochs=4, decay="cosine"),
    "schedule": lbreg.Regime(
        8, keras.optimizers.schedules.CosineDecay(0.02, 24), epochs=4
    ),
}


@functools.cache
def workload_of(optimizer, regime):
    """The same for all arms: it is examined once."""
    return small_workload(
        build_model=lambda: build_model(OPTIMIZERS[optimizer]()),
        regime=REGIMES[regime],
    )


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_lines_do_what_a_run_does(optimizer, regime, arm):
    workload = workload_of(optimizer, regime)
    if arm == "rules" and optimizer == "sgd":
        techniques = {"nesterov": {}}
    elif arm == "rules":
        techniques = {"adam_scaling": {}}
    elif arm == "optimizer":
        name = "lars" if optimizer == "sgd" else "lamb"
        techniques = {"lr_scaling": {}, name: {}}
    else:
        techniques = ARMS[arm]
    if arm == "noise" and optimizer == "wrapped":
        pytest.skip("it adds noise already")
    run = Run(workload, lbreg.Arm("Answer", techniques, "large", 1.5), 0, 24)
    expected = run.build()
    names = {
        "model": build_model(),
        "your_schedule": REGIMES["schedule"].base_learning_rate,
    }
    lines = script(run.facts, run.plan, run.placement)
    exec(lines, names)
    model, made = names["model"], names["optimizer"]
    kinds = [[type(x) for x in m.layers] for m in (model, expected)]
    assert kinds[0] == kinds[1]
    model.compile(made, "mse")
    assert chain(made) == chain(expected.optimizer)
    for step in (0, 3, 7):
        rates = []
        for value in (made, expected.optimizer):
            value.iterations.assign(step)
            rates.append(float(keras.ops.convert_to_numpy(value.learning_rate)))
        assert rates[0] == pytest.approx(rates[1], rel=1e-4)


@pytest.mark.parametrize("kind", ["adamw", "wrapped"])
def test_another_optimizer_keeps_the_settings(kind):
    """Also what is not decayed, which no configuration has."""
    model = build_model(OPTIMIZERS[kind]())
    optimizer = model.optimizer
    innermost = getattr(optimizer, "inner_optimizer", optimizer)
    innermost.exclude_from_weight_decay(var_names=["bias"])
    made = get("lamb").optimizer(optimizer, {}, None)
    made.build(model.trainable_variables)
    lamb = getattr(made, "inner_optimizer", made)
    assert type(lamb) is keras.optimizers.Lamb
    assert type(made) is (type(optimizer) if lamb is not made else type(lamb))
    assert (lamb.beta_2, lamb.weight_decay) == (
        innermost.beta_2,
        innermost.weight_decay,
    )
    decayed = {v.name: lamb._use_weight_decay(v) for v in model.weights}
    assert not decayed["bias"]
    assert decayed["kernel"]


def test_another_optimizer_is_searched_on_request(ladder, monkeypatch):
    """In a folder of its own, in its range of rates; the best takes part."""
    searches, arms = [], []

    def tune(workload, **options):
        searches.append(options)
        hp = types.SimpleNamespace(values=options["always"])
        space = types.SimpleNamespace(
            arm=lambda names: lbreg.Arm("Trial", names, "large", 3.0)
        )
        return types.SimpleNamespace(
            tuner=types.SimpleNamespace(
                hypermodel=types.SimpleNamespace(space=space),
                get_best_hyperparameters=lambda n: [hp] * n,
            )
        )

    def compare(self, folder, wanted, *_):
        arms.extend(getattr(arm, "name", arm) for arm in wanted)
        finals = {name: [0.5, 0.6] for name in arms} | {"lars_2": [0.8, 0.9]}
        return results_of(finals)

    monkeypatch.setattr("keras_lbreg.scaling.ladder.tune", tune)
    monkeypatch.setattr(Ladder, "compare", compare)
    best = ladder.best_rate({"trials": 4, "seeds": 2, "optimizers": ["lars"]})
    assert [s["out"].name for s in searches] == ["2-search", "2-search-lars"]
    assert searches[1]["always"] == ["lr_scaling", "lars"]
    assert "nesterov" in searches[0]["techniques"]
    assert "nesterov" not in searches[1]["techniques"]
    assert searches[1]["learning_rate_factor"] == get("lars").rate_range
    assert {"rate_1", "lars_1"} <= {*arms}
    assert best.techniques.keys() == {"lr_scaling", "lars"}
    assert best.name == "rate"


def chain(optimizer):
    """Settings of an optimizer and those inside, but for rates and seeds."""
    config = []
    while optimizer is not None:
        settings = {
            key: pytest.approx(value) if isinstance(value, float) else value
            for key, value in optimizer.get_config().items()
            if key not in ("name", "learning_rate", "seed", "inner_optimizer")
        }
        config.append((type(optimizer), settings))
        optimizer = getattr(optimizer, "inner_optimizer", None)
    return config


def test_the_lines_of_the_answer_give_its_number(found):
    """Pasted into a script of one's own, within what seeds differ by."""
    confirmed = [run.final for run in found.confirmed.runs_of(found.arm.name)]
    names = {"validation_data": blobs(40, seed=1)}
    accuracies = []
    for seed in range(3):
        keras.utils.set_random_seed(seed)
        names["model"] = build_model()
        exec(found.code, names)
        model = names["model"]
        model.compile(
            names["optimizer"],
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        model.fit(*blobs(48), batch_size=24, epochs=4, verbose=0)
        lbreg.reestimate_batch_norm(model, blobs(48)[0])
        accuracies.append(
            model.evaluate(*blobs(40, seed=1), verbose=0, return_dict=True)[
                "accuracy"
            ]
        )
    assert np.mean(accuracies) == pytest.approx(np.mean(confirmed), abs=0.2)


def record(epoch, objective):
    return types.SimpleNamespace(
        epoch=epoch, updates=10 * epoch, time=2.0 * epoch, objective=objective
    )


def test_steps_to_a_target_are_between_epochs():
    run = types.SimpleNamespace(
        status="finished", epochs=[record(1, 0.5), record(2, 0.7)]
    )
    results = types.SimpleNamespace(sign=1)
    assert curves.reaching(results, run, 0.6) == pytest.approx((15, 1.5, 3.0))
    assert curves.reaching(results, run, 0.4) == (10, 1, 2.0)
    assert all(map(math.isnan, curves.reaching(results, run, 0.8)))
    losses = types.SimpleNamespace(sign=-1)
    run.epochs = [record(1, 0.7), record(2, 0.5)]
    assert curves.reaching(losses, run, 0.6) == pytest.approx((15, 1.5, 3.0))


def test_where_a_curve_stops_scaling():
    points = [
        curves.Point(16, 800, 10, 8.0),
        curves.Point(32, 410, 10, 4.0),
        curves.Point(64, 400, 20, 4.0),
        curves.Point(128, math.nan, math.nan, math.nan),
    ]
    curve = curves.Curve(0.9, tuple(points), 40.0)
    text = curve.text()
    assert "Up to batch 32 steps fall in proportion" in text
    assert "2.0 times the samples" in text
    assert "batch 128 does not reach it" in text
    assert curve.plot().png().startswith(b"\x89PNG")
    assert len(str(curve).splitlines()) == 8
