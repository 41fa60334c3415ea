"""Searches whose trials are sums: nothing is trained."""

import keras_tuner

from keras_lbreg.tuning import resumable

ENGINES = dict(resumable.ENGINES)


def add(values):
    return values["x"] + values["y"]


def make_tuner(folder, engine="random", run=add, **arguments):
    """A tuner that asks `run` for the score of a trial's values."""
    kind, oracle = ENGINES[engine]

    class Sums(kind):
        def _populate_initial_space(self):
            hp = self.oracle.get_space()
            hp.Float("x", 0.0, 1.0, default=0.5)
            hp.Choice("y", [0, 1])
            with hp.conditional_scope("y", [1]):
                hp.Int("z", 1, 3)
            self.oracle.update_space(hp)

        def _build_and_fit_model(self, trial, **kwargs):
            return {"val_sum": run(trial.hyperparameters.values)}

    resumable.ENGINES[engine] = Sums, oracle
    try:
        return resumable.make_tuner(
            engine,
            keras_tuner.HyperModel(),
            keras_tuner.Objective("val_sum", "max"),
            folder,
            **{"trials": 6, "epochs": 4, **arguments},
        )
    finally:
        resumable.ENGINES[engine] = kind, oracle
