"""An MQTT 5 server that does as it is told: enough of the protocol to publish with QoS 1."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self

from tests.edge.sinks.endpoint import PATIENCE

Behaviour = Literal["take", "refuse", "ignore", "leave", "say goodbye", "rubbish"]
CONNECT, CONNACK, PUBLISH, PUBACK, PINGREQ, PINGRESP, DISCONNECT = 1, 2, 3, 4, 12, 13, 14
NOT_AUTHORISED, QUOTA_EXCEEDED = 0x87, 0x97


class Broker:
    """Serves on a free port of this machine while entered.

    What it does with each message is in `behaviours`, one a message; after them it takes what comes. `connack` is its
    answer to a client, `receive_maximum` how many messages it wants at once.
    """

    def __init__(self, *, connack: int = 0, receive_maximum: int = 0) -> None:
        self.behaviours: deque[Behaviour] = deque()
        self.messages: list[tuple[str, bytes]] = []
        self.connections = 0
        self._connack, self._receive_maximum = connack, receive_maximum
        self._connection: socket.socket | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def end_connection(self, *, politely: bool) -> None:
        """Hang up on the client of now; `politely`: say so."""
        assert self._connection is not None
        if politely:
            self._connection.sendall(bytes((DISCONNECT << 4, 0)))
        self._connection.shutdown(socket.SHUT_WR)

    def _serve(self) -> None:
        """One client after the other."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._connection = connection
            connection.settimeout(PATIENCE)
            with connection, connection.makefile("rb") as stream:
                try:
                    while self._answer(connection, *_packet(stream.read)):
                        pass
                except (OSError, EOFError):
                    continue

    def _answer(self, connection: socket.socket, kind: int, body: bytes) -> bool:
        if kind == CONNECT:
            properties = b"" if not self._receive_maximum else b"\x21" + self._receive_maximum.to_bytes(2)
            body = bytes((0, self._connack, len(properties))) + properties
            connection.sendall(bytes((CONNACK << 4, len(body))) + body)
            return self._connack == 0
        if kind == PINGREQ:
            connection.sendall(bytes((PINGRESP << 4, 0)))
        if kind == PUBLISH:
            return self._take(connection, body)
        return kind != DISCONNECT

    def _take(self, connection: socket.socket, body: bytes) -> bool:
        after_topic = 2 + int.from_bytes(body[:2])
        number, length = body[after_topic : after_topic + 2], body[after_topic + 2]
        properties = body[after_topic + 3 : after_topic + 3 + length]
        self.messages.append((body[2:after_topic].decode(), body[after_topic + 3 + length :]))
        assert b"\x26\x00\x02id" in properties
        behaviour = self.behaviours.popleft() if self.behaviours else "take"
        if behaviour == "take":
            connection.sendall(bytes((PUBACK << 4, 2)) + number)
        elif behaviour == "refuse":
            connection.sendall(bytes((PUBACK << 4, 3)) + number + bytes((NOT_AUTHORISED,)))
        elif behaviour == "say goodbye":
            # With a reason string, as the client overlooks a reason that comes without.
            connection.sendall(bytes((DISCONNECT << 4, 6, QUOTA_EXCEEDED, 4, 0x1F, 0, 1)) + b"x")
        elif behaviour == "rubbish":
            connection.sendall(bytes((PUBACK << 4, 5)) + number + b"\x01\xff\xff")
        return behaviour in ("take", "refuse", "ignore")


def _packet(read: Callable[[int], bytes]) -> tuple[int, bytes]:
    """Kind and body; EOFError where there is no more."""
    head = read(1)
    length, shift = 0, 0
    while head and (byte := read(1)):
        length |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            return head[0] >> 4, read(length)
    raise EOFError
