"""Tables of sinks, one class a kind."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from splitnet.config.files import FilePath, Secret
from splitnet.config.sections import Address, Section


class JsonLinesSink(Section):
    """One JSON object a line, appended to a file; `-` is standard output, which promises nothing after a crash."""

    kind: Literal["jsonl"]
    path: FilePath


class FolderSink(Section):
    """One file `ID.json` a record, put in place all at once."""

    kind: Literal["folder"]
    path: FilePath


class SqliteSink(Section):
    """A table `records` with the id as its key."""

    kind: Literal["sqlite"]
    path: FilePath


class WebhookSink(Section):
    """POST of one record each, as JSON; the id goes along as `Idempotency-Key`. Seconds.

    Plain http:// is for loopback only, and a token never goes over it elsewhere.
    """

    kind: Literal["webhook"]
    url: str = Field(pattern=r"^https?://[^/\s]+")
    token: Secret | None = None
    timeout: float = Field(default=10.0, gt=0, le=600)
    ca: FilePath | None = None


class MqttSink(Section):
    """A message each with QoS 1; needs paho-mqtt (extra `mqtt`)."""

    kind: Literal["mqtt"]
    server: Address
    topic: str = Field(min_length=1, max_length=1024, pattern=r"^[^+#\x00]+$")
    user: str = ""
    password: Secret | None = None
    tls: bool = False
    ca: FilePath | None = None
    timeout: float = Field(default=10.0, gt=0, le=600)


AnySink = Annotated[JsonLinesSink | FolderSink | SqliteSink | WebhookSink | MqttSink, Field(discriminator="kind")]
