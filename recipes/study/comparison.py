"""One comparison of a paper: what it ran, and what it reported."""

import dataclasses
from collections.abc import Mapping

from keras_lbreg.comparison import compare, standard_arms
from recipes.study.recipe import Recipe

# The arms that several papers have.
ARMS = {arm.name: arm for arm in standard_arms()}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Arms on one network and dataset, beside the paper's numbers.

    Args:
        name: The name on the command line and of the results folder, of
            letters, digits and `_`.
        title: Network and data, as tables say them.
        dataset: The dataset, see `keras_lbreg.load_dataset`.
        recipe: The `Recipe`, with the paper's sizes and regime.
        arms: Names of the arms, in the paper's order.
        extra_arms: `Arm`s beside those of `ARMS`.
        part: The table or figure of the paper it belongs to.
        paper: The paper's validation accuracy in per cent by arm, where it
            reports one.
        seeds: Seeds it is run with by default.
        first_seed: The first of them.
        batch_size: The large batch, or None for the recipe's.
        holdout: Share of the training data that is set apart to validate on:
            what is chosen by the results has not seen the validation data.
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
    first_seed: int = 0
    batch_size: int | None = None
    holdout: float = 0.0

    def folder_name(self, epochs=None):
        """The name of the results folder; shortened runs have their own."""
        if epochs is None or epochs == self.recipe.epochs:
            return self.name
        return f"{self.name}-{epochs}-epochs"

    def arm_objects(self, names=None):
        """The `Arm`s, all of them or those of some names.

        Raises:
            ValueError: There is no arm of a name.
        """
        known = {**ARMS, **{arm.name: arm for arm in self.extra_arms}}
        chosen = self.arms if names is None else names
        for name in chosen:
            if name not in known:
                raise ValueError(
                    "Invalid value for argument `arms`. Expected names out of "
                    f"{list(self.arms)}. Received: {name!r}"
                )
        return [known[name] for name in chosen]

    def get_arm(self, name):
        """The `Arm` of a name."""
        return self.arm_objects([name])[0]

    def workload(self, epochs=None, dataset=None, data_dir=None):
        """The `Workload`: of the paper, or of other epochs or data.

        Args:
            epochs: Epochs, or None for the paper's. The learning rate drops
                at the same fractions of a shorter run.
            dataset: A `Dataset` or an `.npz` file of `lbreg data export` in
                place of the prepared dataset.
            data_dir: Folder of the prepared datasets.
        """
        recipe = dataclasses.replace(
            self.recipe,
            epochs=self.recipe.epochs if epochs is None else epochs,
            batch_size=self.batch_size or self.recipe.batch_size,
        )
        return recipe.workload(
            self.dataset if dataset is None else dataset, data_dir
        )

    def run(
        self,
        out,
        seeds=None,
        first_seed=None,
        arms=None,
        fresh=False,
        progress=True,
        **changes,
    ):
        """Compare; what was begun in the folder `out` goes on.

        Args:
            out: Folder of the results.
            seeds: Number of seeds, or None for the default.
            first_seed: The first seed, or None for the default.
            arms: Names of arms, or None for all.
            fresh: Whether to delete earlier results first.
            progress: Whether to show progress.
            **changes: Those of `workload`.

        Returns:
            A `Results`.
        """
        chosen = self.arm_objects(arms)
        return compare(
            self.workload(**changes),
            arms=chosen,
            seeds=self.seeds if seeds is None else seeds,
            first_seed=self.first_seed if first_seed is None else first_seed,
            out=out,
            holdout=self.holdout,
            fresh=fresh,
            progress=progress,
            report=False,
        )
