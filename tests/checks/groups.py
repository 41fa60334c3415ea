"""Training the small model of `replicas.py` on one device with mixed groups."""

from keras_lbreg.data import mix_sample_weights
from tests.checks.replicas import BATCH, compiled, make_model, regression_data


def batches(epochs):
    x, y = regression_data()
    for _ in range(epochs):
        for start in range(0, len(x), BATCH):
            yield x[start : start + BATCH], y[start : start + BATCH]


def train_on_groups(make_optimizer, groups, make_model=make_model, **law):
    """Makes 20 updates on one device, each with other weights of the groups.

    Args:
        make_optimizer: Function that makes an optimizer which does not mix.
        groups: Integer, what would be the number of replicas.
        make_model: Function that makes the model.
        **law: Arguments of `mix_sample_weights`.

    Returns:
        The model.
    """
    model = compiled(make_optimizer, make_model=make_model)
    for batch in mix_sample_weights(batches(5), groups, seed=3, **law):
        model.train_on_batch(*batch)
    return model
