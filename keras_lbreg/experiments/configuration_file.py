"""Configurations that a search has found, in files."""

import dataclasses

from keras_lbreg.experiments.arm import Arm
from keras_lbreg.experiments.json_file import read_json, write_json
from keras_lbreg.experiments.shape import NUMBER

SCHEMA = 1
TUNED = "tuned"

SHAPE = {
    "dataset": str,
    "batch_size": int,
    "small_batch_size": int,
    "epochs": int,
    "learning_rate_factor": NUMBER,
    "techniques": dict,
}


@dataclasses.dataclass(frozen=True)
class ConfigurationFile:
    """All that `lbreg train --config` needs to know.

    Args:
        dataset: The dataset it was found on, see `Experiment`.
        batch_size: The batch size.
        small_batch_size: The batch size that the recipe's regime is for.
        epochs: Epochs without regime adaptation.
        techniques: Hyperparameters by technique name, for each technique
            that is on.
        learning_rate_factor: What the learning rate is multiplied by beside
            any scaling.
        origin: Where it comes from, for people.

    Example:

    >>> found = ConfigurationFile("digits", 512, 16, 20, {"lr_scaling": {}})
    >>> found.arm().techniques
    ('lr_scaling',)

    Reference: `read_configuration`, `write_configuration`.
    """

    dataset: str
    batch_size: int
    small_batch_size: int
    epochs: int
    techniques: dict
    learning_rate_factor: float = 1.0
    origin: dict = dataclasses.field(default_factory=dict)

    def arm(self, name=TUNED, title="Tuned"):
        """The large-batch `Arm` that trains with it."""
        return Arm(
            name,
            title,
            "tuned",
            techniques=tuple(self.techniques),
            learning_rate_factor=self.learning_rate_factor,
            hyperparameters=self.techniques,
        )


def read_configuration(path):
    """The `ConfigurationFile` at `path`.

    Args:
        path: A JSON file, such as the `best.json` of `lbreg tune`.

    Raises:
        ValueError: The file holds something else; the message says what.
        OSError: There is no such file.

    Example:

    >>> read_configuration("runs/tune-digits/best.json").batch_size
    512

    Reference: `lbreg train --config` and `lbreg compare --config` read it.
    """
    content = read_json(path, dict)
    if content.get("schema") != SCHEMA:
        raise ValueError(
            f"Cannot read {path}: it has configuration schema "
            f"{content.get('schema')!r}, this version reads {SCHEMA}. "
            "Expected a file that `lbreg tune` has written (best.json)."
        )
    read_json(path, SHAPE)
    del content["schema"]
    known = {field.name for field in dataclasses.fields(ConfigurationFile)}
    try:
        if unknown := sorted(set(content) - known):
            raise ValueError(
                f"Expected no other keys than {sorted(known)}. Received: "
                f"{unknown}"
            )
        configuration = ConfigurationFile(**content)
        # Checks techniques and their settings.
        configuration.arm()
    except ValueError as error:
        raise ValueError(f"Cannot read {path}. {error}") from error
    return configuration


def write_configuration(path, configuration):
    """Write a `ConfigurationFile` as JSON, whole or not at all.

    Args:
        path: The file.
        configuration: The `ConfigurationFile`.

    Example:

    >>> write_configuration("best.json", configuration)

    Reference: `read_configuration` reads it back.
    """
    write_json(path, {"schema": SCHEMA, **dataclasses.asdict(configuration)})
