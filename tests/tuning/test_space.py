import keras
import keras_tuner
import pytest

from keras_lbreg.techniques import (
    OPTIMIZERS,
    TECHNIQUES,
    Context,
    SearchRange,
    get,
)
from keras_lbreg.tuning.space import make_space
from tests.tuning.small_network import small_network

ORACLES = {
    "RandomSearch": {"max_trials": 12},
    "BayesianOptimization": {"max_trials": 12},
    "GridSearch": {"max_trials": 12},
    "Hyperband": {"max_epochs": 9},
}


def space_of(batch_sizes=(64, 256), model=None, **arguments):
    model = small_network() if model is None else model
    return make_space(model, 16, batch_sizes, **arguments)


CONTEXT = Context(seed=0, base_batch_size=16, batch_size=256)


def model_for(technique):
    """A model for which a technique can do something."""
    adam = keras.optimizers.Adam(use_ema=True)
    models = [small_network(), small_network(optimizer=adam)]
    unfit = technique.unfit or (lambda model, context: "")
    return next(x for x in models if not unfit(x, CONTEXT))


def declare(space):
    hp = keras_tuner.HyperParameters()
    space.declare(hp)
    return hp


def propose(oracle, trials):
    """The values of the first trials, each with a score."""
    for number in range(trials):
        trial = oracle.create_trial("tuner0")
        yield trial.hyperparameters.values
        oracle.update_trial(trial.trial_id, {"score": number % 7})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)


def is_inside(value, choices):
    if not isinstance(choices, SearchRange):
        return value in choices
    whole = type(choices.low) is type(choices.high) is int
    inside = choices.low <= value <= choices.high
    return inside and (not whole or value == int(value))


@pytest.mark.parametrize("kind", ORACLES)
def test_every_engine_stays_inside_the_space(kind, tmp_path):
    space = space_of()
    objective = keras_tuner.Objective("score", "max")
    make = getattr(keras_tuner.oracles, f"{kind}Oracle")
    oracle = make(objective=objective, seed=3, **ORACLES[kind])
    oracle._set_project_dir(tmp_path, kind)
    oracle.update_space(declare(space))
    oracle.verbose = 0
    for values in propose(oracle, 12):
        own = {k: v for k, v in values.items() if "/" not in k}
        arm = space.arm(values)
        assert arm.batch_size == own.pop("batch_size") in (64, 256)
        assert arm.learning_rate_factor == own.pop("learning_rate_factor")
        assert 0.25 <= arm.learning_rate_factor <= 4.0
        assert "group_noise" not in own or not own["gradient_mix"]
        assert arm.techniques.keys() == {k for k in own if own[k] is True}
        for name, settings in arm.techniques.items():
            assert settings.keys() == get(name).search_space.keys()
            for key, value in settings.items():
                assert value == own.pop(f"{name}.{key}")
                assert is_inside(value, space.values[name][key]), (name, key)
        assert not [name for name in own if "." in name]


@pytest.mark.parametrize("technique", TECHNIQUES, ids=lambda t: t.name)
def test_every_technique_of_the_register_can_be_searched(technique):
    name = technique.name
    space = space_of([256], model_for(technique), techniques=[name])
    # Off by default, and nothing to set then.
    values = {"batch_size": 256, "learning_rate_factor": 1.0}
    assert declare(space).values == {**values, name: False}
    on = keras_tuner.HyperParameters()
    on.values[name] = True
    space.declare(on)
    [settings] = space.arm(on.values).techniques.values()
    assert settings.keys() == technique.search_space.keys()
    for key, value in settings.items():
        # As published, where that is among the values.
        choices, default = space.values[name][key], technique.defaults[key]
        assert value == default or not is_inside(default, choices)


def test_the_techniques_that_are_tried():
    model = small_network()
    fit = {
        x.name for x in TECHNIQUES if not (x.unfit and x.unfit(model, CONTEXT))
    }
    on_request = {"regime_adaptation", *OPTIMIZERS}
    assert {*space_of(model=model).tried} == fit - on_request
    space = space_of(always=["regime_adaptation", "gradient_mix"])
    # Each of the two takes the place of the other.
    assert not {"gradient_mix", "group_noise"} & {*space.tried}
    hp = declare(space)
    assert hp.values["gradient_mix.concentration"] == 1.0
    assert space.arm(hp.values).techniques == {
        "regime_adaptation": {},
        "gradient_mix": {"groups": 8, "concentration": 1.0},
    }


def test_a_control_has_no_technique_but_scaling():
    space = space_of([64])
    values = {**dict.fromkeys(space.tried, True), "batch_size": 64}
    values |= {"dreg.weight": 0.1, "lr_scaling.rule": "linear"}
    values |= {"learning_rate_factor": 2.0, "lr_scaling.warmup_epochs": 0}
    control = space.control(values)
    arm = space.arm(control)
    settings = {"rule": "linear", "warmup_epochs": 0}
    assert arm.techniques["lr_scaling"] == settings
    others = {"ghost_batch_norm", "gradient_noise", "dreg", "gradient_mix"}
    assert not {*arm.techniques} & others
    assert (arm.batch_size, arm.learning_rate_factor) == (64, 2.0)
    # Nothing is left for KerasTuner to fill in at random.
    hp = declare(space)
    hp.values = dict(control)
    hp.ensure_active_values()
    assert hp.values == control


def test_ranges_take_the_place_of_the_registers():
    space = space_of(
        64,
        techniques=["dreg", "lr_scaling", "gradient_mix"],
        learning_rate_factor=None,
        ranges={
            "dreg": {
                "weight": SearchRange(0.3, 0.4),
                "layer": ["conv"],
                "distance": "bounded",
            },
            "lr_scaling": {"warmup_epochs": [0, 2]},
            # An integer among floats is one of them.
            "gradient_mix": {"concentration": [1, 0.5]},
        },
    )
    found = {x.name: x for x in declare(space).space}
    assert "learning_rate_factor" not in found
    weight = found["dreg.weight"]
    assert (weight.min_value, weight.max_value) == (0.3, 0.4)
    # The default, 0.01, is outside.
    assert (weight.default, weight.sampling) == (0.3, "linear")
    for name, values in {
        "batch_size": [64],
        "dreg.layer": ["conv"],
        "dreg.distance": ["bounded"],
        "lr_scaling.warmup_epochs": [0, 2],
        "gradient_mix.concentration": [1.0, 0.5],
    }.items():
        assert found[name].values == values


@pytest.mark.parametrize(
    ("batch_sizes", "replicas", "ghosts", "groups"),
    [
        ([48], 1, (16,), (4, 8, 16)),
        ([64], 2, (16,), (2, 4, 8, 16, 32)),
        ([64, 128], 1, (16, 32, 64), (4, 8, 16, 32)),
    ],
)
def test_choices_suit_the_batch(batch_sizes, replicas, ghosts, groups):
    values = space_of(batch_sizes, replicas=replicas).values
    assert values["ghost_batch_norm"]["ghost_batch_size"] == ghosts
    assert values["gradient_mix"]["groups"] == groups
    assert values["dreg"]["layer"] == (-2, -1)


def without_norm():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    return model


def test_techniques_that_can_do_nothing_are_left_out():
    space = space_of(61, without_norm())
    assert space.tried == ("lr_scaling", "gradient_noise", "dreg")


MISTAKES = {
    "no batch": ({"batch_sizes": None}, "`batch_sizes`"),
    "unknown": ({"techniques": ["drog"]}, "Invalid technique.*'drog'"),
    "factor": ({"learning_rate_factor": (4, 0.25)}, "low=4.0, high=0.25"),
    "prime": (
        {"batch_sizes": 61, "techniques": ["gradient_mix"]},
        r"No value of `gradient_mix\.groups`.*\[61\].*`ranges`",
    ),
    "range of another": (
        {"techniques": ["lr_scaling"], "ranges": {"dreg": {"weight": 1}}},
        "`ranges`.*that are searched",
    ),
    "range of unknown": (
        {"ranges": {"dreg": {"wait": [1.0]}}},
        r"hyperparameter of technique 'dreg'.*\['wait'\]",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_reported_at_once(mistake):
    arguments, message = MISTAKES[mistake]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        space_of(**{"model": without_norm(), **arguments})
