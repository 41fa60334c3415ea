"""What one trial of a search trains with."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Configuration:
    """A batch size, a learning-rate factor and techniques with settings.

    Args:
        batch_size: Batch size, over all devices.
        techniques: Hyperparameters by technique name, for each technique
            that is on; what is left out has its default.
        learning_rate_factor: What the learning rate is multiplied by beside
            any scaling.

    Example:

    >>> Configuration(512, {"ghost_batch_norm": {"ghost_batch_size": 32}})

    Reference: `keras_lbreg.tuning.SearchSpace.configuration`.
    """

    batch_size: int
    techniques: dict
    learning_rate_factor: float = 1.0

    def to_json(self):
        """The configuration as plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, content):
        """The configuration of which `content` is the `to_json`."""
        return cls(**content)
