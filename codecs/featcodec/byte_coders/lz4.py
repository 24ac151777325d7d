"""`lz4`: LZ4's block format, which holds no size: the frame's header gives it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from featcodec.contract import Buffer, ByteCoder
from featcodec.errors import PayloadError
from featcodec.optional import require
from featcodec.parameters import integer

_INSTALL = "pip install lz4"
_MOST_PER_BYTE = 255  # no LZ4 block unpacks to more than 255 bytes for each of its own


@dataclass(frozen=True)
class Lz4(ByteCoder):
    """LZ4 block format, without a size of its own."""

    name: ClassVar[str] = "lz4"
    library: ClassVar[str | None] = "lz4"
    level: int = integer(0, 0, 12, "0 is the fast mode, 1 to 12 the high-compression mode")

    def encode(self, data: Buffer) -> bytes:
        block = require("lz4.block", self.name, _INSTALL)
        mode = "high_compression" if self.level else "default"
        packed: bytes = block.compress(data, mode=mode, compression=self.level, store_size=False)
        return packed

    def decode(self, data: memoryview, size: int) -> Buffer:
        block = require("lz4.block", self.name, _INSTALL)
        if size > _MOST_PER_BYTE * len(data):
            raise PayloadError(f"lz4: {len(data)} bytes cannot unpack to {size}")
        try:
            unpacked: bytes = block.decompress(data, uncompressed_size=size)
        except (block.LZ4BlockError, ValueError) as error:
            raise PayloadError(f"lz4: corrupt stream: {error}") from error
        if len(unpacked) != size:
            raise PayloadError(f"lz4: {len(unpacked)} bytes unpacked, {size} expected")
        return unpacked
