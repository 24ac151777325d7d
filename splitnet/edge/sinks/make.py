"""Sinks as the configuration describes them."""

from __future__ import annotations

from splitnet.edge.config.sinks import AnySink, FolderSink, JsonLinesSink, MqttSink, SqliteSink, WebhookSink
from splitnet.edge.sinks.contract import Sink
from splitnet.errors import UsageError


def make_sink(name: str, section: AnySink) -> Sink:
    """The sink that the table `sinks.NAME` describes; nothing is opened yet.

    Raises
    ------
    UsageError
        if a value cannot be used, or a package is missing.
    ConfigError
        if a secret is not where the table says.
    """
    try:
        return _make(name, section)
    except UsageError as error:
        raise UsageError(f"sinks.{name}: {error}") from error


def _make(name: str, section: AnySink) -> Sink:
    # Imported here: a daemon holds in memory only what its sinks need.
    match section:
        case JsonLinesSink():
            from splitnet.edge.sinks.json_lines import JsonLines

            return JsonLines(section.path)
        case FolderSink():
            from splitnet.edge.sinks.folder import Folder

            return Folder(section.path)
        case SqliteSink():
            from splitnet.edge.sinks.sqlite import Sqlite

            return Sqlite(section.path)
        case WebhookSink():
            from splitnet.edge.sinks.webhook import Webhook

            token = "" if section.token is None else section.token.reveal(f"sinks.{name}.token")
            return Webhook(section.url, token=token, timeout=section.timeout, ca=section.ca)
        case MqttSink():
            return _mqtt(name, section)


def _mqtt(name: str, section: MqttSink) -> Sink:
    try:
        from splitnet.edge.sinks.mqtt import Mqtt
    except ImportError as error:
        raise UsageError(f"this needs {error.name}: pip install 'splitnet[mqtt]'") from error
    password = "" if section.password is None else section.password.reveal(f"sinks.{name}.password")
    return Mqtt(
        section.server,
        section.topic,
        user=section.user,
        password=password,
        tls=section.tls,
        ca=section.ca,
        timeout=section.timeout,
    )
