"""What a program given to XLA asks for, read from its HLO text."""

import re

# Operations that leave the accelerator, or may: a call of something that the
# compiler does not know stands for whatever the platform has under its name.
OFF_DEVICE = {
    "custom-call",
    "infeed",
    "outfeed",
    "recv",
    "recv-done",
    "send",
    "send-done",
}
COLLECTIVES = (
    "all-gather",
    "all-reduce",
    "all-to-all",
    "collective-broadcast",
    "collective-permute",
    "reduce-scatter",
)
_INSTRUCTION = re.compile(
    r"^\s*(?:ROOT )?%?[\w.-]+ = (?P<shape>.*?) (?P<name>[a-z][a-z0-9-]*)\(",
    re.MULTILINE,
)


def instructions(text):
    """Pairs `(operation, shape)` of all instructions, in order."""
    return [
        (match["name"], match["shape"]) for match in _INSTRUCTION.finditer(text)
    ]


def unfit_for_tpu(text):
    """What a TPU would have to refuse: dynamic shapes and calls of the host.

    A dimension whose size is not known to the compiler is printed as `<=8`.
    """
    found = {name for name, _ in instructions(text)} & OFF_DEVICE
    return sorted(found | set(re.findall(r"\[[\d,]*<=[\d,<=]*\]", text)))


def collectives(text):
    """The collectives of a compiled program and the bytes that each returns."""
    return [
        (name.removesuffix("-start"), _bytes(shape))
        for name, shape in instructions(text)
        if name.removesuffix("-start") in COLLECTIVES
    ]


def _bytes(shape):
    total = 0
    for bits, dimensions in re.findall(r"\b[a-z]+(\d+)\[([\d,]*)\]", shape):
        size = int(bits) // 8
        for dimension in filter(None, dimensions.split(",")):
            size *= int(dimension)
        total += size
    return total
