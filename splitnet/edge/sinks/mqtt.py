"""Records as MQTT messages."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, error_string
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from splitnet.edge.daemon.record import Record
from splitnet.edge.sinks.payload import json_bytes
from splitnet.edge.sinks.tls import trusting
from splitnet.errors import OutputError, UsageError
from splitnet.wire.credentials import is_loopback

_IN_FLIGHT = 20
_LONGEST_KEEPALIVE = 65_535


class Mqtt:
    """A message a record, with QoS 1 over MQTT 5; the id goes along as user property `id`.

    `server` is HOST:PORT; `ca` (a PEM file) implies `tls`. `timeout` in seconds, of a whole batch. Between batches
    nothing runs: a server that ends a silent connection is connected to again.

    Raises
    ------
    UsageError
        if a password would cross the network in plain text, or `ca` cannot be used.
    """

    def __init__(
        self,
        server: str,
        topic: str,
        *,
        user: str = "",
        password: str = "",
        tls: bool = False,
        ca: Path | None = None,
        timeout: float = 10.0,
    ) -> None:
        secured = tls or ca is not None
        if password and not secured and not is_loopback(server):
            raise UsageError(f"a password would travel to {server} in plain text; set tls = true, or give ca")
        host, _, port = server.rpartition(":")
        self._server, self._host, self._port = server, host.strip("[]"), int(port)
        self._topic, self._user, self._password, self._timeout = topic, user, password, timeout
        self._context = trusting(ca) if secured else None
        self._client: Client | None = None
        self._window = _IN_FLIGHT
        self._waiting: set[int] = set()
        self._refusal = ""

    @property
    def mark(self) -> str:
        """Empty: who subscribes knows the ids."""
        return ""

    def resume(self, mark: str) -> Iterable[str]:
        """Nothing is left of a crash."""
        return ()

    def write(self, records: Sequence[Record]) -> None:
        """Publish these and wait for the server's acknowledgements. Raises OutputError; the next call connects anew."""
        end = time.monotonic() + self._timeout
        try:
            self._publish(self._connected(end), records, end)
        except Exception as error:  # at a malformed packet the library raises what comes
            self.close()
            raise OutputError(f"cannot publish to {self._server}: {_line(error)}") from error

    def close(self) -> None:
        """Let go of the connection."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(OSError, ValueError):
                client.disconnect()

    def _connected(self, end: float) -> Client:
        if self._client is not None:
            # Reads what came meanwhile: a connection that the server ended is noticed here.
            self._client.loop(0)
            if self._client.is_connected() and self._client.socket() is not None:
                return self._client
            self.close()
        self._refusal, self._waiting, self._window = "", set(), _IN_FLIGHT
        client = self._client = self._make_client()
        # The library waits as long for a TLS handshake.
        keepalive = min(_LONGEST_KEEPALIVE, max(1, math.ceil(self._timeout)))
        client.connect(self._host, self._port, keepalive, clean_start=True)
        while not client.is_connected():
            self._turn(client, end)
        return client

    def _make_client(self) -> Client:
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5, reconnect_on_failure=False)
        client.on_connect, client.on_publish = self._on_connect, self._on_publish
        client.on_disconnect = self._on_disconnect
        client.connect_timeout = self._timeout
        if self._user or self._password:
            client.username_pw_set(self._user, self._password or None)
        if self._context is not None:
            client.tls_set_context(self._context)
        return client

    def _publish(self, client: Client, records: Sequence[Record], end: float) -> None:
        pending = deque(records)
        while pending or self._waiting:
            while pending and len(self._waiting) < self._window:
                record = pending.popleft()
                properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho leaves it unannotated
                properties.ContentType = "application/json"
                properties.UserProperty = ("id", record.id)
                message = client.publish(self._topic, json_bytes(record), qos=1, properties=properties)
                self._waiting.add(message.mid)
            self._turn(client, end)

    def _turn(self, client: Client, end: float) -> None:
        """Send and receive for a while."""
        left = end - time.monotonic()
        if left <= 0:
            raise OutputError(f"no acknowledgement within {self._timeout:g} s")
        code = client.loop(min(left, 1.0))
        if self._refusal:
            raise OutputError(self._refusal)
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise OutputError(error_string(code))

    def _on_connect(
        self, client: Client, data: Any, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._refusal = f"the server refuses the connection: {reason}"
        # The library does not keep to what the server can take at once.
        self._window = min(_IN_FLIGHT, getattr(properties, "ReceiveMaximum", _IN_FLIGHT))

    def _on_publish(self, client: Client, data: Any, number: int, reason: ReasonCode, properties: Properties) -> None:
        # For the library a message that the server refused is published, too.
        if reason.is_failure:
            self._refusal = f"the server refuses a message: {reason}"
        self._waiting.discard(number)

    def _on_disconnect(
        self, client: Client, data: Any, flags: DisconnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._refusal = f"the server ended the connection: {reason}"


def _line(error: Exception) -> str:
    text = (isinstance(error, OSError) and error.strerror) or str(error)
    return " ".join(text.split()) or type(error).__name__
