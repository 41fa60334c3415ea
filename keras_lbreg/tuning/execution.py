"""One execution of a trial: its model, training and score."""

import dataclasses

import keras
from keras_tuner.errors import FatalValueError

from keras_lbreg.callbacks.average_replicas import AverageReplicas
from keras_lbreg.models.surgery import rebuild
from keras_lbreg.optimizers.reduced_gradient import ReducedGradient
from keras_lbreg.techniques import Context, get
from keras_lbreg.techniques.hooks import hooks
from keras_lbreg.techniques.scale_regime import scale_regime
from keras_lbreg.tuning.keras_hooks import compile_arguments


class Execution:
    """A configuration and a seed, and what they make of a user's model.

    It does not keep the models: they live as long as the tuner needs them.

    Args:
        configuration: The `Configuration`.
        regime: The `Regime` of the small batch.
        seed: Seed of the execution.
        number: Its number within the trial, from 0.
        replicas: Replicas that share every batch.

    Example:

    >>> execution = Execution(configuration, regime, seed=0)
    >>> model = execution.build(plain)
    >>> execution.fit(model, data, validation)
    >>> execution.evaluate(model, validation)["val_accuracy"]

    Reference: `keras_lbreg.techniques.Technique` describes the hooks.
    """

    def __init__(self, configuration, regime, seed, number=0, replicas=1):
        self.configuration = configuration
        self.seed = seed
        self.number = number
        self.replicas = replicas
        self.techniques = {
            name: get(name).hyperparameters(settings)
            for name, settings in configuration.techniques.items()
        }
        self.context = Context(
            seed=seed,
            base_batch_size=regime.base_batch_size,
            batch_size=configuration.batch_size,
            replicas=replicas,
        )
        self.regime = scale_regime(
            regime,
            self.techniques,
            self.context,
            configuration.learning_rate_factor,
        )
        self._users_optimizer = None
        self._optimizer = None

    def build(self, plain):
        """The model to train, compiled.

        Args:
            plain: The user's model, compiled for the small batch.
        """
        model = plain
        for hook, settings in hooks(self.techniques, "model"):
            model = hook(model, settings, self.context)
        arguments = compile_arguments(plain)
        self._users_optimizer = keras.optimizers.get(arguments["optimizer"])
        model.compile(**{**arguments, "optimizer": self._make_optimizer()})
        self._optimizer = model.optimizer
        # So that weights of an earlier part of the training are loaded
        # together with the optimizer's.
        model.optimizer.build(model.trainable_variables)
        return model

    def fit(
        self, model, data, validation, part=(0, 1), callbacks=(), verbose=0
    ):
        """Train for a part of the regime.

        Args:
            model: The model that `build` made.
            data: An `ArrayData` or a `DatasetData`.
            validation: The `ValidationData`.
            part: Fractions of the regime's epochs at which to begin and end.
            callbacks: Callbacks, after those of the techniques.
            verbose: As in `keras.Model.fit`.

        Returns:
            A `keras.callbacks.History`.
        """
        if model.optimizer is not self._optimizer:
            raise FatalValueError(
                "Invalid value for argument `optimizer` of the tuner. Expected "
                "None, since techniques change the optimizer: let "
                "`build_model` compile with the one that you want. Received: "
                f"{type(model.optimizer).__name__}"
            )
        batch_size = self.configuration.batch_size
        steps = data.samples // batch_size
        begin, end = (self.epochs_at(fraction) for fraction in part)
        context = dataclasses.replace(
            self.context,
            initial_step=begin * steps,
            validation_data=validation.values,
        )
        model.optimizer.learning_rate = self.regime.to_schedule(steps)
        # Keras overruns the end of an epoch that it does not divide.
        longest = min(model.steps_per_execution, steps)
        model.steps_per_execution = next(
            n for n in range(longest, 0, -1) if steps % n == 0
        )
        return model.fit(
            data.batches(batch_size, self.techniques, context),
            steps_per_epoch=steps,
            initial_epoch=begin,
            epochs=end,
            shuffle=False,
            verbose=verbose,
            **validation.for_fit(),
            callbacks=[
                AverageReplicas(),
                *(
                    callback
                    for hook, settings in hooks(self.techniques, "callbacks")
                    for callback in hook(settings, context)
                ),
                *callbacks,
            ],
        )

    def epochs_at(self, fraction):
        """The epoch at which a fraction of the regime is over."""
        if fraction == 0:
            return 0
        return max(1, round(fraction * self.regime.epochs))

    def evaluate(self, model, validation):
        """The `val_...` metrics of the plain network of a trained model."""
        results = self.export(model).evaluate(
            **validation.for_evaluate(), return_dict=True, verbose=0
        )
        return {f"val_{name}": float(x) for name, x in results.items()}

    def export(self, model):
        """The plain network of a trained model, compiled as the user's."""
        plain = model
        # The last change to the model is the first to be undone.
        for hook, _ in reversed(hooks(self.techniques, "finalize")):
            plain = hook(plain)
        if plain is model:
            plain = rebuild(model, lambda layer: None)
        plain.compile(
            **{
                **compile_arguments(model),
                "optimizer": copy_of(self._users_optimizer),
            }
        )
        # A saved model is loaded with an optimizer that has variables.
        plain.optimizer.build(plain.trainable_variables)
        return plain

    def _make_optimizer(self):
        optimizer = copy_of(self._users_optimizer)
        # How many updates an epoch has is known when there are data.
        optimizer.learning_rate = self.regime.to_schedule(1)
        if self.replicas > 1 and not isinstance(optimizer, ReducedGradient):
            # Keras would clip each replica's gradient before their sum.
            optimizer = ReducedGradient(optimizer)
        for hook, settings in hooks(self.techniques, "optimizer"):
            optimizer = hook(optimizer, settings, self.context)
        return optimizer


def copy_of(optimizer):
    """An optimizer of the same configuration, without variables."""
    return type(optimizer).from_config(optimizer.get_config())
