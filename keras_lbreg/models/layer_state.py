"""Carrying what a layer has learned over to another layer."""

import tempfile

import keras

from keras_lbreg.models._keras_graph import sublayers


def assign_copy(target, source):
    """Assigns the value of one variable to another, in memory of its own."""
    # Under JAX two variables could share it, and a training step of one model,
    # which reuses the memory, would destroy the other.
    target.assign(keras.ops.copy(keras.ops.convert_to_tensor(source)))


def transfer_by_name(old, new):
    """Copies variables that have the same name and shape in both layers."""
    values = {v.name: v for v in old.variables}
    for variable in new.variables:
        source = values.get(variable.name)
        if source is not None and source.shape == variable.shape:
            assign_copy(variable, source)


def ensure_built(old, new):
    """Builds `new` if `old` is built."""
    if old.built and not new.built:
        new.build_from_config(old.get_build_config())


def copy_state(old, new):
    """Copies the state of a layer to a layer made from its config."""
    ensure_built(old, new)
    old_variables, new_variables = old.variables, new.variables
    shapes = [[v.shape for v in layer.variables] for layer in (old, new)]
    if shapes[0] != shapes[1] or len(sublayers(old)) != len(sublayers(new)):
        raise ValueError(
            f"Layer '{old.name}' (of type {type(old)}) does not get the same "
            "variables and layers when it is made again from its "
            "`get_config()`, so its weights cannot be carried over. Mend its "
            "`get_config()` and `build()`. Expected variables: "
            f"{[(v.path, v.shape) for v in old_variables]}. Received: "
            f"{[(v.path, v.shape) for v in new_variables]}"
        )
    # Such as the vocabulary of a lookup layer, and the constants that
    # `Normalization` derives from its variables.
    for source, target in zip(
        [old, *sublayers(old)], [new, *sublayers(new)], strict=True
    ):
        _save_and_load(source, target)
    # The variables come last, as they are: some layers save them in another
    # form (LoRA merged into the kernel), and none saves its seeds.
    for source, target in zip(old_variables, new_variables, strict=True):
        assign_copy(target, source)


def _save_and_load(old, new):
    """Carries over what a layer saves and loads by methods of its own."""
    if type(old).load_own_variables is not keras.Layer.load_own_variables:
        store = {}
        old.save_own_variables(store)
        new.load_own_variables(
            {k: keras.ops.convert_to_numpy(v) for k, v in store.items()}
        )
    if hasattr(old, "save_assets"):
        with tempfile.TemporaryDirectory() as directory:
            old.save_assets(directory)
            try:
                new.load_assets(directory)
            except Exception as error:
                raise ValueError(
                    f"Layer '{old.name}' (of type {type(old)}) cannot load "
                    "what it saves, so its state cannot be carried over. If "
                    "it has nothing to save yet, call its `adapt` first. "
                    f"Received: {error}"
                ) from error
