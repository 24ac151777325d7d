"""`gzip`: DEFLATE in a gzip wrapper (RFC 1952)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from featcodec.byte_coders.inflate import GZIP, deflate, inflate
from featcodec.contract import Buffer, ByteCoder
from featcodec.parameters import integer


@dataclass(frozen=True)
class Gzip(ByteCoder):
    """DEFLATE in a gzip wrapper (RFC 1952), one member without time or name."""

    name: ClassVar[str] = "gzip"
    level: int = integer(6, 0, 9, "0 stores, 1 is fastest, 9 smallest")

    def encode(self, data: Buffer) -> bytes:
        return deflate(self.name, data, self.level, GZIP)

    def decode(self, data: memoryview, size: int) -> Buffer:
        return inflate(self.name, data, size, GZIP)
