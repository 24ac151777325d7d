"""`brotli`: Brotli (RFC 7932)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from featcodec.byte_coders.sink import Sink
from featcodec.contract import Buffer, ByteCoder
from featcodec.optional import require
from featcodec.parameters import integer

_INSTALL = "pip install brotli"


@dataclass(frozen=True)
class Brotli(ByteCoder):
    """Brotli (RFC 7932), one stream."""

    name: ClassVar[str] = "brotli"
    library: ClassVar[str | None] = "brotli"
    # Quality 11, the library's default, takes seconds a megabyte.
    quality: int = integer(5, 0, 11, "0 is fastest, 11 smallest and very slow")
    lgwin: int = integer(22, 10, 24, "base-2 logarithm of the window in bytes")

    def encode(self, data: Buffer) -> bytes:
        brotli = require("brotli", self.name, _INSTALL)
        packed: bytes = brotli.compress(data, quality=self.quality, lgwin=self.lgwin)
        return packed

    def decode(self, data: memoryview, size: int) -> Buffer:
        brotli = require("brotli", self.name, _INSTALL)
        sink, decoder = Sink(self.name, size), brotli.Decompressor()
        piece: Buffer = data
        try:
            while not decoder.is_finished():
                # The limit is a hint that may be exceeded by one block of the library's; the sink is exact.
                # Bytes after the end of the stream make process() fail.
                chunk = decoder.process(piece, output_buffer_limit=sink.room)
                # can_accept_more_data() may be true while output is pending, hence the empty chunk.
                if not chunk and not decoder.is_finished() and decoder.can_accept_more_data():
                    raise sink.truncated()
                sink.write(chunk)
                piece = b""
        except brotli.error as error:
            raise sink.corrupt(error) from error
        return sink.finish(trailing=False)
