"""`zlib`: DEFLATE in a zlib wrapper (RFC 1950)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from featcodec.byte_coders.inflate import ZLIB, deflate, inflate
from featcodec.contract import Buffer, ByteCoder
from featcodec.parameters import integer


@dataclass(frozen=True)
class Zlib(ByteCoder):
    """DEFLATE in a zlib wrapper (RFC 1950)."""

    name: ClassVar[str] = "zlib"
    level: int = integer(6, 0, 9, "0 stores, 1 is fastest, 9 smallest")

    def encode(self, data: Buffer) -> bytes:
        return deflate(self.name, data, self.level, ZLIB)

    def decode(self, data: memoryview, size: int) -> Buffer:
        return inflate(self.name, data, size, ZLIB)
