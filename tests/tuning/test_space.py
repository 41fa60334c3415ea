import itertools

import keras
import keras_tuner
import pytest

from keras_lbreg.techniques import (
    TECHNIQUES,
    Context,
    SearchRange,
    get,
    names,
)
from keras_lbreg.training.arm import Arm
from keras_lbreg.tuning import SearchSpace
from tests.tuning.small_network import small_network

ORACLES = {
    "random": keras_tuner.oracles.RandomSearchOracle,
    "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
    "grid": keras_tuner.oracles.GridSearchOracle,
    "hyperband": keras_tuner.oracles.HyperbandOracle,
}


def make_space(batch_sizes=(64, 256), **arguments):
    return SearchSpace(batch_sizes, base_batch_size=16, **arguments)


def declare(space, model=None):
    hp = keras_tuner.HyperParameters()
    space.declare(hp, small_network() if model is None else model)
    return hp


def propose(oracle, hp, trials):
    """The values of the first trials, each with a score."""
    oracle.update_space(hp)
    oracle.verbose = 0
    for number in range(trials):
        trial = oracle.create_trial("tuner0")
        if trial.status == "STOPPED":
            return
        yield trial.hyperparameters
        oracle.update_trial(trial.trial_id, {"score": number % 7})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)


def is_inside(value, allowed):
    if isinstance(allowed, SearchRange):
        whole = isinstance(allowed.low, int) and isinstance(allowed.high, int)
        return allowed.low <= value <= allowed.high and (
            not whole or value == int(value)
        )
    return value in allowed


@pytest.mark.parametrize("kind", ORACLES)
def test_every_engine_stays_inside_the_space(kind, tmp_path):
    model = small_network()
    space = make_space()
    hp = declare(space, model)
    size = {"max_epochs": 9} if kind == "hyperband" else {"max_trials": 12}
    oracle = ORACLES[kind](
        objective=keras_tuner.Objective("score", "max"), seed=3, **size
    )
    oracle._set_project_dir(tmp_path, kind)
    seen = 0
    for values in (x.values for x in propose(oracle, hp, 12)):
        seen += 1
        assert values["batch_size"] in (64, 256)
        assert 0.25 <= values["learning_rate_factor"] <= 4.0
        own = {k: v for k, v in values.items() if "/" not in k}
        conditional = own.keys() - {"batch_size", "learning_rate_factor"}
        for name in conditional:
            technique, _, key = name.partition(".")
            if not key:
                assert own[name] in (True, False)
                continue
            assert own[technique] is True, name
            allowed = space.values_of(get(technique), model)[key]
            assert is_inside(own[name], allowed), name
        assert "group_noise" not in own or not own["gradient_mix"]

        arm = space.arm(values)
        assert arm.batch_size == own["batch_size"]
        assert arm.learning_rate_factor == own["learning_rate_factor"]
        on = {name for name in conditional if own[name] is True}
        assert arm.techniques.keys() == on
        for name, settings in arm.techniques.items():
            assert {f"{name}.{k}": v for k, v in settings.items()} == {
                k: v for k, v in own.items() if k.startswith(f"{name}.")
            }
            assert settings.keys() == get(name).search_space.keys()
    assert seen == 12


@pytest.mark.parametrize("technique", TECHNIQUES, ids=lambda t: t.name)
def test_every_technique_of_the_register_can_be_searched(technique):
    model = small_network()
    space = make_space([256], techniques=[technique.name])
    space.check(model)
    hp = declare(space, model)
    by_name = {x.name: x for x in hp.space}
    assert by_name.keys() == {
        "batch_size",
        "learning_rate_factor",
        technique.name,
        *(f"{technique.name}.{key}" for key in technique.search_space),
    }
    assert isinstance(
        by_name[technique.name],
        keras_tuner.engine.hyperparameters.Boolean,
    )
    # Off by default, and nothing to set then.
    assert hp.values.keys() == {
        "batch_size",
        "learning_rate_factor",
        technique.name,
    }
    assert hp.values[technique.name] is False
    on = keras_tuner.HyperParameters()
    on.values[technique.name] = True
    space.declare(on, model)
    [(name, settings)] = space.arm(on.values).techniques.items()
    assert name == technique.name
    context = Context(seed=0, base_batch_size=16, batch_size=256)
    for key, allowed in technique.search_space.items():
        choices = allowed.choices
        if callable(choices):
            allowed = choices(model, context)
        elif choices is not None:
            allowed = choices
        assert is_inside(settings[key], allowed)
        # As published, where that is among the values.
        if is_inside(technique.defaults[key], allowed):
            assert settings[key] == technique.defaults[key]


def test_all_techniques_but_the_longer_one_by_default():
    space = make_space()
    assert set(space.techniques) == set(names()) - {"regime_adaptation"}
    assert make_space(always=["regime_adaptation"]).always == (
        "regime_adaptation",
    )


def test_the_alternative_of_what_is_always_there_is_not_tried():
    space = make_space(always=["gradient_mix"])
    assert "group_noise" not in space.techniques
    hp = declare(space)
    assert "gradient_mix" not in hp.values
    assert hp.values["gradient_mix.concentration"] == 1.0
    [settings] = space.arm(hp.values).techniques.values()
    assert settings == {"groups": 8, "concentration": 1.0}


def test_values_of_others_do_not_count():
    stale = {"gradient_mix": True, "group_noise": True, "batch_size": 64}
    assert make_space().arm(stale).techniques == {"gradient_mix": {}}
    others = {"units": 3, "tuner/epochs": 2, "lr_scaling": True}
    arm = make_space([64]).arm(others)
    assert (arm.batch_size, arm.techniques) == (64, {"lr_scaling": {}})


def test_a_control_has_no_technique_but_scaling():
    space = make_space([64])
    on = dict.fromkeys(space.techniques, True)
    values = {**on, "dreg.weight": 0.1, "lr_scaling.rule": "linear"}
    values |= {"batch_size": 64, "learning_rate_factor": 2.0}
    control = space.control(values)
    arm = space.arm(control)
    assert arm.techniques == {"lr_scaling": {"rule": "linear"}}
    assert (arm.batch_size, arm.learning_rate_factor) == (64, 2.0)
    # Nothing is left for KerasTuner to fill in at random.
    hp = declare(space)
    hp.values = {**control, "lr_scaling.warmup_epochs": 0}
    hp.ensure_active_values()
    assert hp.values == {**control, "lr_scaling.warmup_epochs": 0}


def test_one_value_is_fixed():
    space = make_space(
        [64],
        techniques=["dreg"],
        learning_rate_factor=None,
        ranges={"dreg": {"weight": 0.5, "layer": ["dense"]}},
    )
    by_name = {x.name: x for x in declare(space).space}
    assert "learning_rate_factor" not in by_name
    for name, value in {
        "batch_size": 64,
        "dreg.weight": 0.5,
        "dreg.layer": -1,
    }.items():
        assert type(by_name[name]).__name__ == "Fixed"
        assert by_name[name].value == value
    assert type(by_name["dreg.distance"]).__name__ == "Choice"


def test_ranges_take_the_place_of_the_registers():
    space = make_space(
        techniques=["dreg", "lr_scaling", "gradient_mix"],
        ranges={
            "dreg": {"weight": SearchRange(0.3, 0.4)},
            "lr_scaling": {"warmup_epochs": [0, 2]},
            # An integer among floats is one of them.
            "gradient_mix": {"concentration": [1, 0.5]},
        },
    )
    by_name = {x.name: x for x in declare(space).space}
    weight = by_name["dreg.weight"]
    assert (weight.min_value, weight.max_value) == (0.3, 0.4)
    # The default, 0.1, is outside.
    assert (weight.default, weight.sampling) == (0.3, "linear")
    assert by_name["lr_scaling.warmup_epochs"].values == [0, 2]
    assert by_name["gradient_mix.concentration"].values == [1.0, 0.5]


@pytest.mark.parametrize(
    ("batch_sizes", "replicas", "ghosts", "groups"),
    [
        ([64], 1, [16, 32], [4, 8, 16, 32]),
        ([48], 1, [16], [4, 8, 16]),
        ([64], 2, [16], [2, 4, 8, 16, 32]),
        ([64, 128], 1, [16, 32, 64], [4, 8, 16, 32]),
    ],
)
def test_choices_suit_the_batch(batch_sizes, replicas, ghosts, groups):
    space = make_space(
        batch_sizes,
        techniques=["ghost_batch_norm", "gradient_mix"],
        replicas=replicas,
    )
    for name, key, expected in (
        ("ghost_batch_norm", "ghost_batch_size", ghosts),
        ("gradient_mix", "groups", groups),
    ):
        found = space.values_of(get(name), small_network())[key]
        assert list(found) == expected


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (None, (-2, -1)),
        (["conv"], (-2,)),
        (["dense", "conv"], (-1, -2)),
        ([-1, 1], (-1,)),
        (["last_conv"], ("last_conv",)),
    ],
)
def test_layers_are_numbered(given, found):
    ranges = {} if given is None else {"dreg": {"layer": given}}
    space = make_space(techniques=["dreg"], ranges=ranges)
    assert space.values_of(get("dreg"), small_network())["layer"] == found


def without_norm():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    return model


def test_techniques_that_can_do_nothing_are_left_out():
    space = make_space([61], ranges={"dreg": {"weight": 0.5}})
    suited = space.suited_to(without_norm())
    assert suited.techniques == ("lr_scaling", "gradient_noise", "dreg")
    assert suited.ranges == space.ranges
    for arguments in (
        {"techniques": ["ghost_batch_norm"]},
        {"always": ["ghost_batch_norm"]},
    ):
        with pytest.raises(ValueError, match="ghost_batch_norm does not suit"):
            make_space(**arguments).suited_to(without_norm())


def test_a_network_without_convolutions_can_have_dreg():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    make_space(techniques=["dreg"]).check(model)


@pytest.mark.parametrize(
    ("arm", "samples", "replicas", "reason"),
    [
        (Arm("A", batch_size=64), 63, 1, "64 is more than the 63 samples"),
        (Arm("A", {}, batch_size=64), None, 3, "3 replicas cannot share"),
        (
            Arm(
                "A",
                {"ghost_batch_norm": {"ghost_batch_size": 64}},
                batch_size=64,
            ),
            None,
            2,
            "a ghost of 64 is larger than a replica's batch, 32",
        ),
        (Arm("A", {"group_noise": {"groups": 8}}, batch_size=4), 99, 1, "no 8"),
        (
            Arm("A", {"gradient_mix": {"groups": 8}}, batch_size=4),
            99,
            1,
            "no 8",
        ),
        (Arm("A", {"ghost_batch_norm": {}}, batch_size=64), 64, 1, None),
    ],
)
def test_infeasible_arms(arm, samples, replicas, reason):
    found = make_space(replicas=replicas).infeasible(arm, samples)
    if reason is None:
        assert found is None
    else:
        assert reason in found


MISTAKES = {
    "no_batch": ({"batch_sizes": []}, "`batch_sizes`.*one or more"),
    "same_batch": ({"batch_sizes": [8, 8]}, "different integers"),
    "zero_batch": ({"batch_sizes": [0]}, "`batch_sizes`"),
    "number": ({"batch_sizes": 64}, "Expected a sequence"),
    "unknown": ({"techniques": ["drog"]}, "Invalid technique.*'drog'"),
    "word": ({"techniques": "dreg"}, "`techniques`. Expected a sequence"),
    "both": (
        {"techniques": ["dreg"], "always": ["dreg"]},
        r"`always`.*\['dreg'\] in both",
    ),
    "factor": ({"learning_rate_factor": (4, 0.25)}, "`learning_rate_factor`"),
    "factor_0": ({"learning_rate_factor": (0, 1)}, "`learning_rate_factor`"),
    "replicas": ({"replicas": 0}, "`replicas`"),
    "range_of_none": (
        {"techniques": ["lr_scaling"], "ranges": {"dreg": {"weight": 1}}},
        "`ranges`.*that are searched",
    ),
    "range_of_unknown": (
        {"ranges": {"dreg": {"wait": [1.0]}}},
        r"hyperparameter of technique 'dreg'.*\['wait'\]",
    ),
    "kinds": ({"ranges": {"dreg": {"layer": ["a", 1]}}}, "all of one kind"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_reported_at_once(mistake):
    arguments, message = MISTAKES[mistake]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        make_space(**arguments)


UNSUITABLE = {
    "ghost_0": (
        {"ranges": {"ghost_batch_norm": {"ghost_batch_size": [0, 16]}}},
        "ghost_batch_size",
    ),
    "ghost_text": (
        {"ranges": {"ghost_batch_norm": {"ghost_batch_size": ["16"]}}},
        "ghost_batch_size",
    ),
    "layer": ({"ranges": {"dreg": {"layer": ["conv", "cove"]}}}, "cove"),
    "negative": (
        {"ranges": {"gradient_noise": {"alpha": SearchRange(-1, 1.0)}}},
        "`alpha`",
    ),
    "law": ({"ranges": {"lr_scaling": {"rule": ["cubic"]}}}, "cubic"),
    "path": ({"ranges": {"dreg": {"path_reduction": ["max"]}}}, "max"),
    "prime": (
        {"batch_sizes": [61], "techniques": ["gradient_mix"]},
        r"No value of `gradient_mix\.groups`.*\[61\].*`ranges`",
    ),
    "odd": ({"batch_sizes": [63], "replicas": 2}, "2 replicas cannot share"),
}


@pytest.mark.parametrize("mistake", UNSUITABLE)
def test_what_does_not_suit_the_model_is_reported_before_any_trial(mistake):
    arguments, message = UNSUITABLE[mistake]
    model = small_network()
    weights = model.get_weights()
    with pytest.raises(ValueError, match=f"(?s){message}"):
        make_space(**arguments).check(model)
    for before, after in zip(weights, model.get_weights(), strict=True):
        assert (before == after).all()


def test_batches_larger_than_the_data_are_reported():
    space = make_space([64, 256])
    space.check(small_network(), samples=256)
    for check in (
        lambda: space.check(small_network(), samples=255),
        lambda: space.check_batch_sizes(255),
    ):
        with pytest.raises(
            ValueError,
            match=r"\[64, 256\]; a batch of 256 is more than the 255",
        ):
            check()


def test_the_space_does_not_depend_on_the_order_of_names():
    chosen = ["dreg", "lr_scaling", "group_noise"]
    spaces = {
        tuple(x.name for x in declare(make_space(techniques=order)).space)
        for order in itertools.permutations(chosen)
    }
    assert len(spaces) == 1
