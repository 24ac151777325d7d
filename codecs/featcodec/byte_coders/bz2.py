"""`bz2`: the Burrows-Wheeler compressor bzip2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from featcodec.byte_coders.pull import pull
from featcodec.contract import Buffer, ByteCoder
from featcodec.optional import require
from featcodec.parameters import integer

_INSTALL = "this Python was built without it"


@dataclass(frozen=True)
class Bz2(ByteCoder):
    """bzip2, one stream."""

    name: ClassVar[str] = "bz2"
    level: int = integer(9, 1, 9, "block size in units of 100,000 bytes")

    def encode(self, data: Buffer) -> bytes:
        packed: bytes = require("bz2", self.name, _INSTALL).compress(data, self.level)
        return packed

    def decode(self, data: memoryview, size: int) -> Buffer:
        decoder = require("bz2", self.name, _INSTALL).BZ2Decompressor()
        return pull(self.name, decoder, (OSError, ValueError, EOFError), data, size)
