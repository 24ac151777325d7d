"""`zstd`: Zstandard (RFC 8878)."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, ClassVar

from featcodec.contract import Buffer, ByteCoder
from featcodec.errors import PayloadError
from featcodec.optional import require
from featcodec.parameters import integer

_INSTALL = "pip install zstandard"
_MOST_PER_BYTE = 1 << 15  # a block costs at least 4 bytes and holds at most 128 KiB
_WINDOW = 1 << 20  # a window this large is always allowed: other encoders round small ones up


class _Contexts(threading.local):
    """zstd contexts are costly to make and not thread-safe: each thread keeps its last ones."""

    level: int | None = None
    compressor: Any = None
    decompressor: Any = None


_contexts = _Contexts()


@dataclass(frozen=True)
class Zstd(ByteCoder):
    """Zstandard (RFC 8878), one frame that states its content size."""

    name: ClassVar[str] = "zstd"
    library: ClassVar[str | None] = "zstandard"
    level: int = integer(3, 1, 22, "1 is fastest, 22 smallest")

    def encode(self, data: Buffer) -> bytes:
        if _contexts.level != self.level:
            zstandard = require("zstandard", self.name, _INSTALL)
            _contexts.compressor = zstandard.ZstdCompressor(level=self.level, write_content_size=True)
            _contexts.level = self.level
        packed: bytes = _contexts.compressor.compress(data)
        return packed

    def decode(self, data: memoryview, size: int) -> Buffer:
        zstandard = require("zstandard", self.name, _INSTALL)
        try:
            self._check(zstandard, data, size)
            if _contexts.decompressor is None:
                _contexts.decompressor = zstandard.ZstdDecompressor()
            unpacked: bytes = _contexts.decompressor.decompress(data, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise PayloadError(f"zstd: corrupt stream: {error}") from error
        return unpacked

    def _check(self, zstandard: Any, data: memoryview, size: int) -> None:
        # One-shot decompression allocates what the stream's header states and heeds neither max_output_size
        # nor max_window_size, so the header is judged first.
        if data[:4] != zstandard.FRAME_HEADER:
            raise PayloadError("zstd: the payload does not begin with a Zstandard frame")
        stated = zstandard.get_frame_parameters(data)
        if stated.content_size != size:
            shown = "no size" if stated.content_size == zstandard.CONTENTSIZE_UNKNOWN else stated.content_size
            raise PayloadError(f"zstd: the stream states {shown}, expected are {size} bytes")
        if size > _MOST_PER_BYTE * len(data):
            raise PayloadError(f"zstd: {len(data)} bytes cannot unpack to {size}")
        if stated.window_size > max(size, _WINDOW):
            raise PayloadError(f"zstd: a window of {stated.window_size} bytes for {size} bytes of data")
        if stated.dict_id:
            raise PayloadError(f"zstd: the stream needs dictionary {stated.dict_id}; frames use none")
