"""Compiled models, one for each arm, which its seeds share."""

from keras_lbreg.callbacks.multi_worker_backup import (
    set_training_state,
    training_state,
)
from keras_lbreg.experiments.build import build_model, compile_ahead

# Of all models that are kept, in bytes: larger ones train so long that it does
# not matter how long they take to compile.
MEMORY = 2**28


class Programs:
    """Compiles the model of an arm once, for all of its seeds.

    A small model takes longer to trace and compile than to train. All that a
    seed decides about a model lies in its variables (first weights, states of
    random generators, seeds of optimizer wrappers), so the program that was
    compiled for one seed is right for the others once their values are put
    into it.

    Args:
        memory: Bytes of variables of the models that are kept. Those beyond
            are compiled for every run.

    Example:

    >>> programs = Programs()
    >>> model = programs.prepare(plan, dataset, seed=0)

    Reference: `keras_lbreg.experiments.train` uses it.
    """

    def __init__(self, memory=MEMORY):
        self._memory = memory
        self._models = {}

    def prepare(self, plan, dataset, seed):
        """A model that is compiled, in the state of a run's beginning.

        Args:
            plan: The `Plan`. Plans of one name have to be the same.
            dataset: The `Dataset`.
            seed: Seed of the run.

        Returns:
            A compiled `keras.Model`.
        """
        model = build_model(plan, dataset, seed)
        state = training_state(model)
        kept = self._models.get(plan.arm.name)
        if kept is not None:
            model, _ = kept
        else:
            compile_ahead(model, plan, dataset, seed)
            size = sum(value.nbytes for value in state)
            in_use = sum(size for _, size in self._models.values())
            if in_use + size <= self._memory:
                self._models[plan.arm.name] = (model, size)
        set_training_state(model, state)
        return model

    def forget(self, plan):
        """Drop an arm's model: nobody knows what an error has left of it."""
        self._models.pop(plan.arm.name, None)
