"""A camera that speaks RTSP over TCP: as little of RFC 2326 as FFmpeg asks for, with MPEG-4 as in RFC 6416."""

from __future__ import annotations

import base64
import contextlib
import socket
import struct
import threading
from types import TracebackType
from typing import Any, Self

import av

from tests.edge.capture.videos import pixels

CLOCK = 90_000


def _encoded(frames: int) -> tuple[bytes, list[bytes]]:
    """The decoder's configuration, and frames, each a keyframe."""
    codec: Any = av.CodecContext.create("mpeg4", "w")
    codec.width, codec.height, codec.pix_fmt, codec.framerate, codec.gop_size = 64, 48, "yuv420p", 25, 1
    codec.flags |= av.codec.context.Flags.global_header
    found = []
    for number in range(frames):
        found += codec.encode(av.VideoFrame.from_ndarray(pixels(number), format="rgb24"))
    return bytes(codec.extradata), [bytes(one) for one in [*found, *codec.encode()]]


class RtspCamera:
    """Sends `frames` frames to whoever plays it, then says nothing more, or hangs up.

    With a password it wants Basic authentication of `user`.
    """

    def __init__(self, frames: int, *, password: str = "", hang_up: bool = False) -> None:
        self._config, self._frames = _encoded(frames)
        self._password, self._hang_up = password, hang_up
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._callers: list[socket.socket] = []
        self.transports: list[str] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in (self._socket, *self._callers):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._socket.accept()
                self._callers.append(caller)
                threading.Thread(target=self._talk, args=(caller,), daemon=True).start()

    def _talk(self, caller: socket.socket) -> None:
        with contextlib.suppress(OSError), caller, caller.makefile("rb") as lines:
            while True:
                method, headers = _request(lines)
                if not method:
                    return
                caller.sendall(self._answer(method, headers))
                if method == "PLAY":
                    self._play(caller)
                    if self._hang_up:
                        return

    def _answer(self, method: str, headers: dict[str, str]) -> bytes:
        wanted = "Basic " + base64.b64encode(f"user:{self._password}".encode()).decode()
        lines, body = [f"CSeq: {headers['cseq']}"], b""
        if self._password and method != "OPTIONS" and headers.get("authorization") != wanted:
            return _message("401 Unauthorized", [*lines, 'WWW-Authenticate: Basic realm="camera"'])
        if method == "OPTIONS":
            lines.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
        elif method == "DESCRIBE":
            body = self._description()
            lines += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
        elif method == "SETUP":
            self.transports.append(headers["transport"])
            lines += ["Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: 1"]
        else:
            lines.append("Session: 1")
        return _message("200 OK", lines, body)

    def _description(self) -> bytes:
        lines = [
            "v=0",
            "o=- 0 0 IN IP4 127.0.0.1",
            "s=camera",
            "t=0 0",
            "m=video 0 RTP/AVP 96",
            f"a=rtpmap:96 MP4V-ES/{CLOCK}",
            f"a=fmtp:96 profile-level-id=1;config={self._config.hex()}",
            "a=framerate:25",
            "a=control:track",
        ]
        return "".join(f"{line}\r\n" for line in lines).encode()

    def _play(self, caller: socket.socket) -> None:
        for number, frame in enumerate(self._frames):
            assert len(frame) < 60_000, "one packet a frame"
            packet = struct.pack(">BBHII", 0x80, 0x80 | 96, number, number * CLOCK // 25, 1) + frame
            caller.sendall(struct.pack(">cBH", b"$", 0, len(packet)) + packet)


def _request(lines: Any) -> tuple[str, dict[str, str]]:
    """A request's method, empty at the end, and its headers; what the caller reports about packets is passed over."""
    while (first := lines.read(1)) == b"$":
        _, length = struct.unpack(">BH", lines.read(3))
        lines.read(length)
    method = (first + lines.readline()).decode().split(" ")[0].strip()
    headers = {}
    while line := lines.readline().decode().strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return method, headers


def _message(status: str, lines: list[str], body: bytes = b"") -> bytes:
    return "\r\n".join([f"RTSP/1.0 {status}", *lines, "", ""]).encode() + body
