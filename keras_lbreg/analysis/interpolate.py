"""The loss along the line through two minima."""

import dataclasses

import keras
import numpy as np

from keras_lbreg.analysis.loss_surface import (
    check_fit,
    check_model,
    resolve_loss,
)
from keras_lbreg.checks import check_choice, check_positive_int, invalid
from keras_lbreg.data.samples import check_data, message, take_rows
from keras_lbreg.models._keras_trainer import compile_arguments
from keras_lbreg.models.layer_search import is_graph_model
from keras_lbreg.models.surgery import rebuild


@dataclasses.dataclass(frozen=True)
class Interpolation:
    """Loss and accuracy along the line through two models.

    Args:
        positions: a, from the first model (0) to the second (1) and beyond.
        loss: Mean loss at each position, by the name of the data.
        accuracy: Accuracy at each position, by the name of the data; NaN for
            a model with several losses.

    Example:

    >>> line = interpolate(small, large, {"train": (x, y), "val": (x_v, y_v)})
    >>> line.accuracy["val"]

    """

    positions: np.ndarray
    loss: dict
    accuracy: dict


def interpolate(
    first,
    second,
    data,
    positions=None,
    statistics="interpolate",
    statistics_data=None,
    loss=None,
    batch_size=1000,
    on_progress=None,
):
    """Loss and accuracy on the line through the weights of two models.

    ```
    θ(a) = (1 - a) θ_first + a θ_second
    ```

    A wide minimum at one end and a narrow one at the other is what Keskar et
    al. found for small and large batches. The scale of a layer in front of a
    batch normalization is arbitrary, so a picture of two models that differ in
    it shows widths that mean nothing: read it together with the sharpness.

    Args:
        first: A built `keras.Model`, at a = 0.
        second: A model of the same architecture, at a = 1. Both are left as
            they are.
        data: A dictionary of pairs `(x, y)` by name, such as
            `{"train": ..., "val": ...}`, or one such pair, of arrays or
            structures of arrays.
        positions: Values of a. Defaults to 25 of them in [-1, 2].
        statistics: `"interpolate"` (the default) moves the statistics of batch
            normalization along with the weights: they are those of a network
            at the two ends alone, and where a variance has become negative,
            somewhere beyond the ends, the loss is NaN. `"estimate"` measures
            them anew at each position on `statistics_data`, as
            `keras_lbreg.reestimate_batch_norm` does.
        statistics_data: Array of training inputs, for `"estimate"`.
        loss: A `keras.losses.Loss` or its name. Defaults to the first model's.
        batch_size: Samples at a time. Defaults to `1000`.
        on_progress: Optional, called with the number of positions so far.

    Returns:
        An `Interpolation`.

    Raises:
        ValueError: The models have different weights, or an argument is out
            of its range.

    Example:

    >>> line = interpolate(small_batch_model, large_batch_model, (x_val, y_val))

    Reference:

    - [Keskar et al., 2017](https://arxiv.org/abs/1609.04836), Figure 3
    - Goodfellow et al., 2015, https://arxiv.org/abs/1412.6544
    """
    data = data if isinstance(data, dict) else {"data": data}
    data = {
        name: check_data(f"data[{name!r}]", part) for name, part in data.items()
    }
    check_positive_int("batch_size", batch_size)
    check_model("first", first)
    check_model("second", second)
    shapes = [[v.shape for v in m.get_weights()] for m in (first, second)]
    if shapes[0] != shapes[1]:
        expected = (
            "a model with the weights of the first: the same architecture, and "
            "no technique's layers (`strip_dreg`, `strip_ghost_batch_norm`)"
        )
        received = (
            f"{len(shapes[1])} weights that differ from the first's "
            f"{len(shapes[0])} in number or shape"
        )
        raise ValueError(message("second", expected, received))
    if not is_graph_model(first):
        expected = "a Functional or Sequential model, which can be copied"
        raise invalid("first", expected, first)
    check_choice("statistics", statistics, ("interpolate", "estimate"))
    if statistics == "estimate" and statistics_data is None:
        expected = "training inputs to measure the statistics on"
        raise invalid("statistics_data", expected, None)
    positions = np.linspace(-1, 2, 25) if positions is None else positions
    positions = np.asarray(positions, "float64")
    model = rebuild(first, lambda layer: None)
    function = resolve_loss(first, loss)
    if function is None:
        # One loss an output: which of them has an accuracy is not known.
        known = compile_arguments(first)
        model.compile(loss=known["loss"], loss_weights=known["loss_weights"])
    else:
        model.compile(loss=function, metrics=["accuracy"])
    for name, (x, y, *_) in data.items():
        few = take_rows((x, y), slice(2))
        check_fit(f"data[{name!r}]", model.test_on_batch, *few)
    if statistics == "estimate":
        # Not above: the callbacks import modules of this package.
        from keras_lbreg.callbacks.reestimate_batch_normalization import (
            StatisticsEstimator,
        )

        estimate = StatisticsEstimator(model)
    ends = first.get_weights(), second.get_weights()
    results = {name: [] for name in data}
    for done, a in enumerate(positions, 1):
        model.set_weights([between(*w, a) for w in zip(*ends, strict=True)])
        if statistics == "estimate":
            for variable, value in estimate((statistics_data,), batch_size):
                variable.assign(value)
        for name, (x, y, *_) in data.items():
            result = model.evaluate(
                x, y, batch_size=batch_size, verbose=0, return_dict=True
            )
            results[name].append(result)
        if on_progress is not None:
            on_progress(done)

    def curves(metric):
        return {
            name: np.array([float(r.get(metric, np.nan)) for r in found])
            for name, found in results.items()
        }

    return Interpolation(positions, curves("loss"), curves("accuracy"))


def between(first, second, a):
    """`(1 - a) first + a second`; what is no float stays the first's."""
    if not keras.backend.is_float_dtype(first.dtype.name):
        return first
    mixed = (1 - a) * first.astype("float64") + a * second.astype("float64")
    return mixed.astype(first.dtype)
