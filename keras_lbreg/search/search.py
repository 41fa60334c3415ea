"""What to search: a dataset, a space and how to look through it."""

import dataclasses
import math

import keras

from keras_lbreg.checks import check_positive_int
from keras_lbreg.experiments import Experiment
from keras_lbreg.techniques import SearchRange
from keras_lbreg.tuning.search_space import SearchSpace

TUNERS = ("random", "hyperband", "bayesian", "grid")
BACKENDS = ("tensorflow", "jax")

# Trials are numbered with three digits.
MOST_TRIALS = 999

# What may be another when a search goes on: it changes no trial.
CHANGEABLE = ("trials", "budget", "workers", "confirm_seeds")
# Where things are says nothing about what they are.
PLACES = ("data_dir", "out_dir")


@dataclasses.dataclass(frozen=True)
class Search:
    """A search for good settings of the techniques.

    What is left at `None` or `()` comes from the dataset's recipe.

    Args:
        dataset: A dataset, as for `keras_lbreg.experiments.Experiment`.
        batch_sizes: The large batch sizes to try, over all devices.
        techniques: Names of the techniques to try on and off. Defaults to
            all of the register but regime adaptation, which trains longer.
        always: Names of techniques that every trial has.
        tuner: `"random"`, `"hyperband"`, `"bayesian"` or `"grid"`.
        trials: Number of trials, at most.
        executions: Runs of each trial, with seeds `0 ... executions - 1`.
        budget: Seconds of searching, over all sessions, after which no new
            trial is begun. What runs then, ends.
        seed: Seed of the tuner's choices.
        small_batch_size: The batch size that the regime was made for.
        epochs: Epochs of every run.
        learning_rate_factor: Smallest and largest factor on the learning
            rate, or `None` for none.
        ranges: Values to try instead of the register's, see
            `keras_lbreg.tuning.SearchSpace`.
        holdout: Share of the training data that trials are judged by; the
            winner is judged by the validation data, which no trial saw. The
            rest is trained with for as many updates as all of it would be.
        confirm_seeds: Seeds with which the winner is trained again, and
            compared; 0 leaves that out.
        data_dir: Folder of the prepared datasets.
        out_dir: Folder of the search. Defaults to `runs/tune-<dataset>`.
        strategy: Strategy of every trial, see
            `keras_lbreg.experiments.choose_strategy`.
        devices: Number of devices of every trial.
        virtual_devices: Number of devices to divide the processor into.
        backend: Keras backend of the trials. Defaults to the running one.
        workers: Trials at a time on this machine.

    Raises:
        ValueError: An argument has no meaning; the message says which and
            what was expected.

    Example:

    >>> search = Search("digits", techniques=("dreg",), trials=10)
    >>> results = run_search(search)
    >>> results.best.configuration

    Reference: https://keras.io/keras_tuner for the tuners.
    """

    dataset: str = "digits"
    batch_sizes: tuple = ()
    techniques: tuple | None = None
    always: tuple = ()
    tuner: str = "random"
    trials: int = 30
    executions: int = 1
    budget: float | None = None
    seed: int = 0
    small_batch_size: int | None = None
    epochs: int | None = None
    learning_rate_factor: tuple | None = (0.25, 4.0)
    ranges: dict = dataclasses.field(default_factory=dict)
    holdout: float = 0.2
    confirm_seeds: int = 3
    data_dir: str | None = None
    out_dir: str | None = None
    strategy: str = "one"
    devices: int | None = None
    virtual_devices: int | None = None
    backend: str | None = None
    workers: int = 1

    def __post_init__(self):
        if self.backend is None:
            object.__setattr__(self, "backend", keras.backend.backend())
        check_choice("backend", self.backend, BACKENDS)
        check_choice("tuner", self.tuner, TUNERS)
        for name in ("trials", "executions", "workers"):
            check_positive_int(name, getattr(self, name))
        if self.trials > MOST_TRIALS:
            raise ValueError(
                f"Invalid value for argument `trials`. Expected at most "
                f"{MOST_TRIALS}. Received: trials={self.trials}"
            )
        if self.virtual_devices is not None:
            check_positive_int("virtual_devices", self.virtual_devices)
        for name in ("seed", "confirm_seeds"):
            check_count(name, getattr(self, name))
        check_budget(self.budget)
        if self.strategy == "multi-worker":
            raise ValueError(
                "Invalid value for argument `strategy`. Expected one of a "
                "single machine, since a trial is one process. Received: "
                "strategy='multi-worker'"
            )
        # These check what is theirs.
        experiment = Experiment(
            self.dataset,
            small_batch_size=self.small_batch_size,
            epochs=self.epochs,
            strategy=self.strategy,
            devices=self.devices,
            holdout=self.holdout,
        )
        space = self.space(self.batch_sizes or (1,), base_batch_size=1)
        for name in ("techniques", "always", "ranges"):
            object.__setattr__(self, name, getattr(space, name))
        object.__setattr__(self, "batch_sizes", tuple(self.batch_sizes))
        if self.learning_rate_factor is not None:
            factor = tuple(map(float, self.learning_rate_factor))
            object.__setattr__(self, "learning_rate_factor", factor)
        if self.out_dir is None:
            folder = f"runs/tune-{experiment.name}"
            object.__setattr__(self, "out_dir", folder)

    def space(self, batch_sizes, base_batch_size, **settings):
        """The `SearchSpace`, given what the dataset and devices decide."""
        return SearchSpace(
            batch_sizes,
            base_batch_size,
            techniques=self.techniques,
            always=self.always,
            learning_rate_factor=self.learning_rate_factor,
            ranges=self.ranges,
            **settings,
        )

    def to_json(self):
        """The search as plain data."""
        ranges = {
            name: {key: plain_range(values) for key, values in own.items()}
            for name, own in self.ranges.items()
        }
        return {**vars(self), "ranges": ranges}

    @classmethod
    def from_json(cls, content):
        """The search of which `content` is the `to_json`."""
        ranges = {
            name: {
                key: SearchRange(**values)
                if isinstance(values, dict)
                else tuple(values)
                for key, values in own.items()
            }
            for name, own in content["ranges"].items()
        }
        return cls(**{**content, "ranges": ranges})


def plain_range(values):
    if isinstance(values, SearchRange):
        return {name: getattr(values, name) for name in ("low", "high", "log")}
    return list(values)


def check_choice(name, value, choices):
    if value not in choices:
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected one of "
            f"{', '.join(choices)}. Received: {name}={value!r}"
        )


def check_count(name, value):
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected an integer of at "
            f"least 0. Received: {name}={value!r}"
        )


def check_budget(budget):
    if budget is None:
        return
    number = isinstance(budget, (int, float)) and not isinstance(budget, bool)
    if not number or not 0 < budget < math.inf:
        raise ValueError(
            "Invalid value for argument `budget`. Expected a positive number "
            f"of seconds, or None. Received: budget={budget!r}"
        )
