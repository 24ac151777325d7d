"""Collects a decompressor's output into a buffer of exactly the expected size."""

from __future__ import annotations

import numpy as np

from featcodec.errors import PayloadError

STEP = 1 << 20  # bytes handed to or asked from a library at once


class Sink:
    """A buffer of `size` bytes that refuses more and, at the end, less.

    The pages are touched only as bytes arrive, so a frame that claims much and holds little costs little.
    """

    def __init__(self, stage: str, size: int) -> None:
        self._stage, self._size, self._filled = stage, size, 0
        self._out = np.empty(size, np.uint8).data

    @property
    def room(self) -> int:
        """How many bytes to ask for next: one more than fit, so that a surplus shows. Never 0, which
        several libraries take to mean "no limit"."""
        return min(STEP, self._size - self._filled + 1)

    def write(self, chunk: bytes) -> None:
        """Append. Raises PayloadError when the stream unpacks to more than expected."""
        end = self._filled + len(chunk)
        if end > self._size:
            raise PayloadError(f"{self._stage}: the stream unpacks to more than the expected {self._size} bytes")
        self._out[self._filled : end] = chunk
        self._filled = end

    def finish(self, trailing: bool) -> memoryview:
        """The full buffer. Raises PayloadError when it is not full or the stream has bytes left over."""
        if self._filled != self._size:
            raise PayloadError(f"{self._stage}: {self._filled} bytes unpacked, {self._size} expected")
        if trailing:
            raise PayloadError(f"{self._stage}: the payload goes on after the end of its stream")
        return self._out

    def truncated(self) -> PayloadError:
        """The error for a stream that ends early."""
        return PayloadError(f"{self._stage}: the stream ends after {self._filled} of the expected {self._size} bytes")

    def corrupt(self, cause: Exception) -> PayloadError:
        """The error for a stream its library refuses."""
        return PayloadError(f"{self._stage}: corrupt stream: {cause}")
