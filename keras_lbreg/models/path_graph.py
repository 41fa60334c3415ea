"""Which tensors of a model carry both paths of DReg."""

import keras

from keras_lbreg.layers.dreg_layer import DRegLayer
from keras_lbreg.layers.paths import PathFork
from keras_lbreg.models._keras_graph import calls_in_order, is_graph_model


class PathGraph:
    """The calls of a model that has layers at which the batch is forked.

    A forked tensor holds `[right; left]` in training. A call with one forked
    input needs all of its inputs forked. A layer that `is_uniform` (it keeps
    statistics) has to be used alike wherever it is called.
    """

    def __init__(self, model, is_source, is_uniform=lambda layer: False):
        self.is_source = is_source
        self.is_uniform = is_uniform
        # Layers, operations and nested models with forked inputs at one place
        # at least, by id.
        self.forked_layers = {}
        # A layer found to be called behind a fork changes what holds for its
        # earlier calls: walk until nothing new is found.
        known = None
        while known != len(self.forked_layers):
            known = len(self.forked_layers)
            # By id of a call, the ids of the inputs to be forked first.
            self.to_fork = {}
            self.forked_outputs = self._walk(model, False)

    def _walk(self, model, entered):
        if isinstance(model, keras.Sequential):
            forked = entered
            for layer in model.layers:
                (forked,) = self._visit(layer, forked)[:1]
            return [forked]
        forked = {id(x) for x in model.inputs} if entered else set()
        for node in calls_in_order(model):
            inputs = node.input_tensors
            touched = any(id(x) in forked for x in inputs) or (
                id(node.operation) in self.forked_layers
                and self.is_uniform(node.operation)
            )
            if touched:
                self.to_fork[id(node)] = {
                    id(x)
                    for x in inputs
                    if id(x) not in forked and _has_batch(x, model)
                }
            flags = self._visit(node.operation, touched)
            for i, output in enumerate(node.outputs):
                if flags[i if len(flags) > 1 else 0]:
                    forked.add(id(output))
        return [id(x) in forked for x in model.outputs]

    def _visit(self, operation, forked):
        if forked:
            self.forked_layers[id(operation)] = operation
        if is_graph_model(operation):
            return self._walk(operation, forked)
        return [forked or self.is_source(operation)]


def forks(layer):
    """Whether a layer makes a forked tensor of an ordinary one."""
    return isinstance(layer, PathFork) or (
        isinstance(layer, DRegLayer) and layer.paths == "both"
    )


def _has_batch(x, model):
    """Whether a tensor has the batch axis; a learned table has not."""
    return len(x.shape) > 0 and x.shape[0] == model.inputs[0].shape[0]
