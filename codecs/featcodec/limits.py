"""How much a frame may ask of its decoder."""

from __future__ import annotations

from dataclasses import dataclass, fields

from featcodec.errors import LimitError

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Caps checked against a frame's header before anything is allocated.

    Peak memory of `decode` stays below 4 times the sum of the frame and its decoded arrays, plus about 32 MiB
    that the compression libraries need themselves. Raises ValueError for a value below 1.
    """

    frame_bytes: int = 64 * MIB
    """Size of the whole frame."""
    decoded_bytes: int = 256 * MIB
    """Size of all decoded arrays of the frame together, and of each tensor's symbols."""
    elements: int = 256 * MIB
    """Elements of one array; an axis of length 0 counts as 1."""
    tensors: int = 255
    rank: int = 8
    extensions: int = 16

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if type(value) is not int or value < 1:
                raise ValueError(f"Limits.{limit.name} must be a whole number of at least 1, not {value!r}")

    def check(self, name: str, value: int) -> None:
        """Raise LimitError when `value` exceeds the limit called `name`."""
        allowed: int = getattr(self, name)
        if value > allowed:
            raise LimitError(f"the frame needs {name} = {value:,}, allowed are {allowed:,}; raise Limits.{name}")
