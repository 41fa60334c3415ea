"""An optimizer that hands everything on to the one it wraps."""

import keras

from keras_lbreg.optimizers import keras_hooks
from keras_lbreg.random.seeds import resolve_seed


def _of_inner_optimizer(name):
    """An attribute that a wrapper shares with its inner optimizer."""

    def get(wrapper):
        return getattr(wrapper.inner_optimizer, name)

    def set_(wrapper, value):
        # Keras's constructor sets defaults before there is an inner optimizer.
        if hasattr(wrapper, "inner_optimizer"):
            setattr(wrapper.inner_optimizer, name, value)

    return property(get, set_)


class OptimizerWrapper(keras.optimizers.Optimizer):
    """Base of optimizers that hand everything on to the one they wrap.

    `learning_rate`, `iterations`, `loss_scale_factor`, clipping, weight decay
    and averaging are those of `inner_optimizer`, and can be set here as well as
    there. `variables` are the wrapper's own, then those of `inner_optimizer`.

    Args:
        inner_optimizer: A `keras.optimizers.Optimizer`, its name or its
            configuration. It may be another wrapper.
        name: String, the name of the wrapper.

    Raises:
        TypeError: If `inner_optimizer` is no optimizer.
        ValueError: If `inner_optimizer` is a `LossScaleOptimizer` or a
            `MultiOptimizer`, which belong outside, or if it contains a wrapper
            of this very class already.

    Example:

    >>> class Verbose(OptimizerWrapper):
    ...     def apply(self, grads, trainable_variables=None):
    ...         print(len(grads))
    ...         self.inner_optimizer.apply(grads, trainable_variables)

    Reference:

    - `keras.optimizers.LossScaleOptimizer`, on which it is modelled.
    """

    loss_scale_factor = _of_inner_optimizer("loss_scale_factor")
    gradient_accumulation_steps = _of_inner_optimizer(
        "gradient_accumulation_steps"
    )
    weight_decay = _of_inner_optimizer("weight_decay")
    clipnorm = _of_inner_optimizer("clipnorm")
    global_clipnorm = _of_inner_optimizer("global_clipnorm")
    clipvalue = _of_inner_optimizer("clipvalue")
    use_ema = _of_inner_optimizer("use_ema")
    ema_momentum = _of_inner_optimizer("ema_momentum")
    ema_overwrite_frequency = _of_inner_optimizer("ema_overwrite_frequency")
    # Read by methods of the base class, by callbacks and by trainers.
    _iterations = _of_inner_optimizer("_iterations")
    _learning_rate = _of_inner_optimizer("_learning_rate")
    _model_variables_moving_average = _of_inner_optimizer(
        "_model_variables_moving_average"
    )
    _trainable_variables = _of_inner_optimizer("_trainable_variables")
    _trainable_variables_indices = _of_inner_optimizer(
        "_trainable_variables_indices"
    )

    def __init__(self, inner_optimizer, name=None):
        super().__init__(learning_rate=0.0, name=name)
        keras_hooks.forget_variables(self)
        self.inner_optimizer = _checked(inner_optimizer, type(self))

    def add_seed(self, seed):
        """Adds a variable that carries a seed through checkpoints.

        Args:
            seed: Integer from 0 to 2**31 - 1, or None for a random one.

        Returns:
            An integer `keras.Variable`.
        """
        return self.add_variable(
            shape=(),
            initializer=keras.initializers.Constant(resolve_seed(seed)),
            dtype="int",
            aggregation="only_first_replica",
            name="seed",
        )

    def build(self, variables):
        self.inner_optimizer.build(variables)
        self.built = True

    @property
    def variables(self):
        return self._variables + self.inner_optimizer.variables

    @property
    def iterations(self):
        return self.inner_optimizer.iterations

    @property
    def learning_rate(self):
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate):
        self.inner_optimizer.learning_rate = learning_rate

    def scale_loss(self, loss):
        return self.inner_optimizer.scale_loss(loss)

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        self.inner_optimizer.exclude_from_weight_decay(var_list, var_names)

    def finalize_variable_values(self, var_list):
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self):
        return {
            "name": self.name,
            "inner_optimizer": keras.saving.serialize_keras_object(
                self.inner_optimizer
            ),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        inner_optimizer = keras.saving.deserialize_keras_object(
            config.pop("inner_optimizer"), custom_objects=custom_objects
        )
        return cls(inner_optimizer, **config)


def chain_of(optimizer):
    """Lists an optimizer, the one it wraps, the one that wraps, and so on.

    Args:
        optimizer: `keras.optimizers.Optimizer`.

    Returns:
        List of optimizers; only the last one is no `OptimizerWrapper`.

    Example:

    >>> sgd = keras.optimizers.SGD()
    >>> chain_of(OptimizerWrapper(sgd))[-1] is sgd
    True

    Reference: none.
    """
    chain = [optimizer]
    while isinstance(chain[-1], OptimizerWrapper):
        chain.append(chain[-1].inner_optimizer)
    return chain


def _checked(inner_optimizer, wrapper_class):
    optimizer = keras.optimizers.get(inner_optimizer)
    outer_classes = [
        cls
        for name in ("LossScaleOptimizer", "MultiOptimizer")
        if (cls := getattr(keras.optimizers, name, None)) is not None
    ]
    if isinstance(optimizer, tuple(outer_classes)):
        outer = type(optimizer).__name__
        raise ValueError(
            "Invalid value for argument `inner_optimizer`. Expected an "
            f"optimizer that updates variables itself: write `{outer}` "
            f"outside, around `{wrapper_class.__name__}`. "
            f"Received: inner_optimizer={optimizer}"
        )
    if any(type(member) is wrapper_class for member in chain_of(optimizer)):
        raise ValueError(
            "Invalid value for argument `inner_optimizer`. Expected an "
            f"optimizer without `{wrapper_class.__name__}` inside: wrap it "
            f"once. Received: inner_optimizer={optimizer}"
        )
    return optimizer
