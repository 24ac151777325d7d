"""`lzma`: LZMA in its oldest and smallest container (13 bytes of header)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from featcodec.byte_coders.pull import pull
from featcodec.contract import Buffer, ByteCoder
from featcodec.optional import require
from featcodec.parameters import integer

_INSTALL = "this Python was built without it"
_SMALLEST = 1 << 12
_LARGEST = 1 << 26  # preset 9's dictionary
_DECODER = 1 << 20  # what the decoder needs beside its dictionary (probabilities, buffers), rounded up


def dictionary_size(size: int) -> int:
    """The dictionary for `size` bytes: the next power of two, 4 KiB to 64 MiB. A decoder allocates it
    whole, so a frame that asks for more is refused."""
    return min(max(_SMALLEST, 1 << (size - 1).bit_length()), _LARGEST)


@dataclass(frozen=True)
class Lzma(ByteCoder):
    """LZMA in the .lzma container, its dictionary no larger than the data needs."""

    name: ClassVar[str] = "lzma"
    preset: int = integer(6, 0, 9, "0 is fastest, 9 smallest")

    def encode(self, data: Buffer) -> bytes:
        lzma = require("lzma", self.name, _INSTALL)
        chain = [{"id": lzma.FILTER_LZMA1, "preset": self.preset, "dict_size": dictionary_size(len(data))}]
        packed: bytes = lzma.compress(data, format=lzma.FORMAT_ALONE, filters=chain)
        return packed

    def decode(self, data: memoryview, size: int) -> Buffer:
        lzma = require("lzma", self.name, _INSTALL)
        decoder = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=dictionary_size(size) + _DECODER)
        return pull(self.name, decoder, (lzma.LZMAError, EOFError, ValueError), data, size)
