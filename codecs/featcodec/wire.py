"""Reading and writing the frame's primitive fields: bytes, one-byte numbers, varints."""

from __future__ import annotations

from featcodec.errors import FrameError, TruncatedError

MAX_VARINT = (1 << 32) - 1
_MAX_VARINT_BYTES = 5


def varint(value: int) -> bytes:
    """Unsigned LEB128: seven bits a byte, lowest first, the top bit set on all bytes but the last."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Reader:
    """Walks through `data`, raising TruncatedError where it ends too early."""

    def __init__(self, data: memoryview, position: int = 0) -> None:
        self.data = data
        self.position = position

    def byte(self, what: str) -> int:
        """The next byte as a number."""
        position = self.position
        if position >= len(self.data):
            raise TruncatedError(f"the frame ends before its {what}")
        self.position = position + 1
        return self.data[position]

    def take(self, size: int, what: str) -> memoryview:
        """The next `size` bytes, not copied."""
        end = self.position + size
        if end > len(self.data):
            raise TruncatedError(f"the frame ends within its {what}: {size} bytes stated, {self.left} left")
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def varint(self, what: str) -> int:
        """The next varint. Raises FrameError above 2**32 - 1 and for a longer form than needed."""
        first = self.byte(what)
        if first < 0x80:
            return first
        value, shift = first & 0x7F, 7
        for _ in range(_MAX_VARINT_BYTES - 1):
            byte = self.byte(what)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value > MAX_VARINT or byte == 0:
                    break
                return value
            shift += 7
        raise FrameError(f"the frame's {what} is not a number up to {MAX_VARINT} in its shortest form")

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self.data) - self.position
