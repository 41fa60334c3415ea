"""Statistics of batch normalization, measured anew."""

import keras
import numpy as np


def estimate_statistics(model, x, batch_size=1000):
    """What the moving statistics would be if the weights had always been these.

    The moving statistics of batch normalization lag behind the weights. Here
    every statistic becomes the average of those that training steps on `x`
    would see, without moving the weights. A step makes

    ```
    moving' = a moving + (1 - a) batch
    ```

    which is solved for `batch`; a is measured, since ghost batches make it a
    power of the momentum. Layers that training does not change (frozen ones,
    or called with `training=False`) stay as they are, as does all that is not
    a statistic. Dropout is at work, as it is where the statistics arise.

    Args:
        model: A built `keras.Model`. It is left as it is.
        x: Array of training inputs.
        batch_size: Samples at a time. Defaults to `1000`.

    Returns:
        The list of arrays to put in place of `model.non_trainable_variables`.

    Example:

    >>> state = estimate_statistics(model, x_train)
    >>> y, _ = model.stateless_call(model.trainable_variables, state, x_val)

    Reference: the average over a whole training set is "population statistics"
    in [Ioffe and Szegedy, 2015](https://arxiv.org/abs/1502.03167), Algorithm 2
    """
    state = [np.asarray(to_array(v)) for v in model.non_trainable_variables]
    places = statistics_of(model)
    if not places:
        return state
    trained = [to_array(v) for v in model.trainable_variables]

    def step(state, part):
        _, after = model.stateless_call(trained, state, part, training=True)
        return [np.asarray(to_array(after[place])) for place in places]

    def filled(value):
        """The state with all moving statistics at one value."""
        changed = list(state)
        for place in places:
            changed[place] = np.full_like(state[place], value)
        return changed

    first = x[:batch_size]
    places = [
        place
        for place, after in zip(places, step(state, first), strict=True)
        if not np.array_equal(after, state[place])
    ]
    zeros, ones = filled(0), filled(1)
    kept = [
        one.astype("float64") - zero
        for one, zero in zip(step(ones, first), step(zeros, first), strict=True)
    ]
    totals = [0.0] * len(places)
    for start in range(0, len(x), batch_size):
        part = x[start : start + batch_size]
        for number, after in enumerate(step(zeros, part)):
            batch = after.astype("float64") / (1 - kept[number])
            totals[number] = totals[number] + batch * (len(part) / len(x))
    for place, total in zip(places, totals, strict=True):
        state[place] = total.astype(state[place].dtype)
    return state


def statistics_of(model):
    """Where the moving statistics stand among the non-trainable variables."""
    # By name: layers inside of a subclassed model's own are found too.
    return [
        place
        for place, variable in enumerate(model.non_trainable_variables)
        if variable.name in ("moving_mean", "moving_variance")
    ]


def to_array(variable):
    array = keras.ops.convert_to_numpy(variable)
    # JAX's bfloat16 is no type of NumPy's own.
    return array.astype("float32") if array.dtype.kind == "V" else array
