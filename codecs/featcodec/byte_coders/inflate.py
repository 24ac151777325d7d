"""DEFLATE for the stages `zlib` and `gzip`, which differ in their wrapper only."""

from __future__ import annotations

from featcodec.byte_coders.sink import STEP, Sink
from featcodec.contract import Buffer
from featcodec.optional import require

ZLIB = 15  # window bits as zlib's API codes the wrapper
GZIP = 31


def deflate(stage: str, data: Buffer, level: int, wrapper: int) -> bytes:
    """Compress in one go. With GZIP the header holds no time and no name."""
    zlib = require("zlib", stage, "this Python was built without it")
    packed: bytes = zlib.compress(data, level, wrapper)
    return packed


def inflate(stage: str, data: memoryview, size: int, wrapper: int) -> memoryview:
    """Decompress one stream (for gzip: one member) to exactly `size` bytes. Raises PayloadError."""
    zlib = require("zlib", stage, "this Python was built without it")
    sink, decoder = Sink(stage, size), zlib.decompressobj(wrapper)
    fed = 0
    try:
        # Input goes in by pieces: zlib copies what it has not consumed yet on every call.
        while fed < len(data) and not decoder.eof:
            piece: Buffer = data[fed : fed + STEP]
            fed += len(piece)
            # After the end of the stream zlib keeps offering trailing bytes as its unconsumed tail.
            while piece and not decoder.eof:
                sink.write(decoder.decompress(piece, sink.room))
                piece = decoder.unconsumed_tail
        while not decoder.eof:
            chunk = decoder.decompress(b"", sink.room)
            if not chunk and not decoder.eof:
                raise sink.truncated()
            sink.write(chunk)
    except zlib.error as error:
        raise sink.corrupt(error) from error
    return sink.finish(trailing=bool(decoder.unused_data) or fed < len(data))
