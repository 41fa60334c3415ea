import pytest

from keras_lbreg.experiments import Arm, Experiment, arm_names

MINE = Arm("mine", "Mine", "tuned", techniques=("lr_scaling",))


def test_defaults():
    experiment = Experiment()
    assert experiment.dataset == "digits"
    assert list(experiment.arms) == arm_names()
    assert experiment.seeds == 3
    assert experiment.out_dir == "runs/digits"
    assert list(experiment.seed_range) == [0, 1, 2]


def test_arms_come_in_the_order_of_the_report_and_once():
    experiment = Experiment(arms=["lr", "small_batch", "lr"])
    assert experiment.arms == ("small_batch", "lr")


def test_extra_arms_stand_behind_the_others():
    experiment = Experiment(extra_arms=(MINE,))
    assert experiment.arms == (*arm_names(), "mine")
    assert experiment.get_arm("mine") is MINE
    assert experiment.get_arm("lr").title == "LR"
    chosen = Experiment(arms=["mine", "lr"], extra_arms=[MINE])
    assert chosen.arms == ("lr", "mine")
    with pytest.raises(ValueError, match=r"'lr_doubled'.*Received: 'mine'"):
        Experiment(arms=["mine"])


def test_seeds_begin_with_the_first():
    experiment = Experiment(first_seed=1000, seeds=2)
    assert list(experiment.seed_range) == [1000, 1001]


@pytest.mark.parametrize(
    ("dataset", "name"),
    [("mnist", "mnist"), ("some/where/mine.npz", "mine"), ("a/b:1", "a_b_1")],
)
def test_name(dataset, name):
    assert Experiment(dataset).name == name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dataset": ""}, "`dataset`"),
        ({"arms": ["lr", "lrr"]}, "'lr_gbn'.*Received: 'lrr'"),
        ({"arms": []}, "`arms`"),
        ({"arms": "lr"}, "`arms`"),
        ({"seeds": 0}, "`seeds`.*above 0.*seeds=0"),
        ({"seeds": 1.5}, "`seeds`"),
        ({"epochs": 0}, "`epochs`"),
        ({"batch_size": 0}, "`batch_size`"),
        ({"small_batch_size": True}, "`small_batch_size`"),
        (
            {"hyperparameters": {"ghost_batch_norm": {"ghost_batch_size": 0}}},
            "`ghost_batch_size`.*above 0",
        ),
        ({"hyperparameters": {"gbn": {}}}, "Invalid technique.*'gbn'"),
        ({"hyperparameters": {"dreg": {"size": 1}}}, r"\['size'\]"),
        ({"hyperparameters": {"dreg": 0.1}}, "a dictionary"),
        ({"first_seed": -1}, "`first_seed`.*at least 0.*first_seed=-1"),
        ({"first_seed": 0.5}, "`first_seed`"),
        ({"holdout": 1}, "`holdout`.*below 1.*holdout=1"),
        ({"holdout": "0.1"}, "`holdout`"),
        ({"until": 0}, "`until`.*above 0.*until=0"),
        ({"until": 1.5}, "`until`"),
        ({"until": True}, "`until`"),
        ({"extra_arms": ["mine"]}, "`extra_arms`.*`Arm`s.*'mine'"),
        ({"extra_arms": [MINE, MINE]}, r"no other arm has.*\['mine'\]"),
        ({"extra_arms": [Arm("lr", "LR", "alone")]}, r"Received: \['lr'\]"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Experiment(**arguments)
