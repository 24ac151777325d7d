"""The loop around the decompressors of `bz2` and `lzma`, which share one interface."""

from __future__ import annotations

from typing import Any

from featcodec.byte_coders.sink import STEP, Sink
from featcodec.contract import Buffer


def pull(stage: str, decoder: Any, errors: tuple[type[Exception], ...], data: memoryview, size: int) -> Buffer:
    """Decompress one stream to exactly `size` bytes. `errors` are what the library raises for bad data."""
    sink, fed = Sink(stage, size), 0
    try:
        while not decoder.eof:
            piece: Buffer = b""
            if decoder.needs_input:
                piece = data[fed : fed + STEP]
                if not piece:
                    raise sink.truncated()
                fed += len(piece)
            sink.write(decoder.decompress(piece, sink.room))
    except errors as error:
        raise sink.corrupt(error) from error
    return sink.finish(trailing=bool(decoder.unused_data) or fed < len(data))
