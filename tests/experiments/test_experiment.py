import pytest

from keras_lbreg.experiments import Experiment, arm_names


def test_defaults():
    experiment = Experiment()
    assert experiment.dataset == "digits"
    assert list(experiment.arms) == arm_names()
    assert experiment.seeds == 3
    assert experiment.out_dir == "runs/digits"


def test_arms_come_in_the_order_of_the_report_and_once():
    experiment = Experiment(arms=["lr", "small_batch", "lr"])
    assert experiment.arms == ("small_batch", "lr")


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
        ({"seeds": 0}, "`seeds`.*at least 1.*seeds=0"),
        ({"seeds": 1.5}, "`seeds`"),
        ({"epochs": 0}, "`epochs`"),
        ({"batch_size": 0}, "`batch_size`"),
        ({"small_batch_size": True}, "`small_batch_size`"),
        (
            {"hyperparameters": {"ghost_batch_norm": {"ghost_batch_size": 0}}},
            "`ghost_batch_size`.*at least 1",
        ),
        ({"hyperparameters": {"gbn": {}}}, "Invalid technique.*'gbn'"),
        ({"hyperparameters": {"dreg": {"size": 1}}}, r"\['size'\]"),
        ({"hyperparameters": {"dreg": 0.1}}, "a dictionary"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Experiment(**arguments)
