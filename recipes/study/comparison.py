"""One comparison of a paper: what it ran, and what it reported."""

import dataclasses
from collections.abc import Mapping

from keras_lbreg.experiments import Experiment
from keras_lbreg.experiments.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Arms on one network and dataset, beside the paper's numbers.

    Args:
        name: The name on the command line and of the results folder, of
            letters, digits and `_`.
        title: Network and data, as tables say them.
        dataset: The dataset, see `Experiment`.
        recipe: The `Recipe`, with the paper's sizes and regime.
        arms: Names of the arms, in the paper's order.
        extra_arms: `Arm`s beside the standard ones.
        part: The table or figure of the paper it belongs to.
        paper: The paper's validation accuracy in per cent by arm, where it
            reports one.
        seeds: Seeds it is run with by default.
        batch_size: The large batch, or None for the recipe's.
        small_batch_size: The small batch, or None for the recipe's.

    Example:

    >>> Comparison("f1", "F1, MNIST", "mnist", F1, ("small_batch", "lr"))

    Reference: the recipes' `configuration.py` lists them.
    """

    name: str
    title: str
    dataset: str
    recipe: Recipe
    arms: tuple
    extra_arms: tuple = ()
    part: str = ""
    paper: Mapping = dataclasses.field(default_factory=dict)
    seeds: int = 3
    batch_size: int | None = None
    small_batch_size: int | None = None

    def folder_name(self, epochs=None):
        """The name of the results folder; shortened runs have their own."""
        if epochs is None or epochs == self.recipe.epochs:
            return self.name
        return f"{self.name}-{epochs}-epochs"

    def experiment(
        self,
        out_dir,
        seeds=None,
        first_seed=0,
        epochs=None,
        arms=None,
        dataset=None,
        data_dir=None,
    ):
        """The `Experiment` that runs it.

        Args:
            out_dir: Folder of the results.
            seeds: Number of seeds, or None for the default.
            first_seed: The first seed.
            epochs: Epochs, or None for the paper's. The learning rate drops
                at the same fractions of a shorter run.
            arms: Names of arms, or None for all.
            dataset: An `.npz` file of `lbreg data export` to take in place of
                the prepared dataset.
            data_dir: Folder of the prepared datasets.
        """
        arms = arms or self.arms
        return Experiment(
            dataset or self.dataset,
            arms=arms,
            extra_arms=tuple(a for a in self.extra_arms if a.name in arms),
            seeds=self.seeds if seeds is None else seeds,
            first_seed=first_seed,
            epochs=epochs,
            batch_size=self.batch_size,
            small_batch_size=self.small_batch_size,
            data_dir=data_dir,
            out_dir=str(out_dir),
            tensorboard=False,
            recipe=self.recipe,
        )
