"""What a search needs of Keras's `compile`, checked on Keras 3.15.

A model that a technique has rebuilt is compiled like the user's own. Keras
gives the arguments of `compile` back in serialized form alone, in which a
function of the user's cannot be found again. `tests/tuning/test_keras_hooks.py`
fails when a new Keras changes this.
"""


def compile_arguments(model):
    """The arguments that a model was compiled with, as they were given.

    Args:
        model: A compiled `keras.Model`.

    Returns:
        A dictionary, to be handed to another model's `compile`.
    """
    return dict(model._compile_config.config)
