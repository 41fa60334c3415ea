"""One arm of a comparison."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Arm:
    """A batch size and the techniques that go with it.

    Args:
        name: The name on the command line and in folders.
        title: The name in tables and plots.
        group: `"reference"`, `"cumulative"`, `"alone"`, `"all"` or
            `"control"`: the block of the report it belongs to.
        batch: `"small"` or `"large"`.
        techniques: Names of techniques, in the order of the register.
        learning_rate_factor: What the learning rate is multiplied by beside
            any scaling; for controls.

    Example:

    >>> get_arm("lr_gbn").techniques
    ('lr_scaling', 'ghost_batch_norm')

    Reference: the columns of Hoffer et al. 2017,
    https://arxiv.org/abs/1705.08741
    """

    name: str
    title: str
    group: str
    batch: str = "large"
    techniques: tuple = ()
    learning_rate_factor: float = 1.0
