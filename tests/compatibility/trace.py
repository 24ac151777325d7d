"""A trace: every call of a native kernel with its arguments and what Python got. replay.cpp reads it.

Little-endian throughout. A call: name, count of arguments (u8), arguments, result; a text: size (u64), bytes.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

# The array that a kernel writes, by its place among the arguments.
_WRITTEN = {
    "quantise": 4,
    "look_up": 2,
    "rans_decode": 6,
    "ctx_decode": 2,
    "floats_decode": 2,
    "reconstruct": 4,
    "ProfileCoder.decode": 2,
    "ProfileCoder.decode_coefficients": 2,
}
_CLASSES = ("ProfileTables", "ProfileCoder")


class Handle:
    """An object of the kernels', known in the trace by its number."""

    def __init__(self, recorder: Recorder, real: Any, number: int, class_name: str) -> None:
        self.real, self.number = real, number
        self._recorder, self._class = recorder, class_name

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(type(self.real), name)
        return lambda *given: self._recorder.call(f"{self._class}.{name}", method, (self, *given))


class Recorder:
    """Takes the place of the module `kernels`; passes every call on and writes it down."""

    def __init__(self, real: Any, sink: BinaryIO) -> None:
        self._real, self._sink, self._objects = real, sink, 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(self._real, name)
        return lambda *given: self.call(name, function, given)

    def call(self, name: str, function: Callable[..., Any], given: tuple[Any, ...]) -> Any:
        """What `function` returns or raises."""
        before = [value.tobytes() if isinstance(value, np.ndarray) else b"" for value in given]
        result: Any = None
        failed: Exception | None = None
        try:
            result = function(*(value.real if isinstance(value, Handle) else value for value in given))
        except (RuntimeError, ValueError) as error:
            failed = error
        self._text(name.encode())
        self._sink.write(struct.pack("<B", len(given)))
        for place, value in enumerate(given):
            if place == _WRITTEN.get(name):
                self._array(b"o", value, value.tobytes())
            elif isinstance(value, np.ndarray):
                self._array(b"a", value, before[place])
            elif isinstance(value, Handle):
                self._sink.write(b"h" + struct.pack("<I", value.number))
            else:
                whole = isinstance(value, (int, np.integer))
                self._sink.write(struct.pack("<cq" if whole else "<cd", b"i" if whole else b"d", value))
        return self._result(name, result, failed)

    def _result(self, name: str, result: Any, failed: Exception | None) -> Any:
        if failed is not None:
            self._sink.write(b"e")
            raise failed
        if name in _CLASSES:
            self._objects += 1
            self._sink.write(b"h" + struct.pack("<I", self._objects))
            return Handle(self, result, self._objects, name)
        if isinstance(result, bytes):
            self._sink.write(b"b")
            self._text(result)
        elif isinstance(result, bool):
            self._sink.write(struct.pack("<cB", b"t", result))
        elif isinstance(result, tuple):
            self._sink.write(struct.pack("<cdd", b"p", *result))
        else:
            assert result is None, name
            self._sink.write(b"n")
        return result

    def _array(self, kind: bytes, value: np.ndarray, data: bytes) -> None:
        displaced = value.ctypes.data % 16
        self._sink.write(kind + struct.pack("<cBB", value.dtype.char.encode(), displaced, value.ndim))
        self._sink.write(struct.pack(f"<{value.ndim + 1}Q", *value.shape, value.nbytes) + data)

    def _text(self, text: bytes) -> None:
        self._sink.write(struct.pack("<Q", len(text)) + text)


def record(run: Callable[[], object], sink: BinaryIO) -> None:
    """Write every kernel call of `run` into `sink`. `run` is called twice: first to import what it uses."""
    import featcodec._native

    real = featcodec._native.kernels
    assert real is not None, "the extension module was not built"
    run()
    users = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith("featcodec") and getattr(module, "kernels", None) is real
    ]
    recorder = Recorder(real, sink)
    for module in users:
        module.kernels = recorder  # type: ignore[attr-defined]  # of any module that uses them
    try:
        run()
    finally:
        for module in users:
            module.kernels = real  # type: ignore[attr-defined]  # as above
