"""A record as text, fit for whatever takes UTF-8."""

from __future__ import annotations

import json

from splitnet.edge.daemon.record import Record


def json_bytes(record: Record) -> bytes:
    """One line, without the newline."""
    return _utf8(record.line())


def readable_json(record: Record) -> bytes:
    """Several lines, for people; with the newline at the end."""
    return _utf8(json.dumps(record.as_dict(), indent=2, ensure_ascii=False) + "\n")


def plain(text: str) -> str:
    """`text` without lone surrogates: `\\udcff` is spelled out."""
    return _utf8(text).decode()


def _utf8(text: str) -> bytes:
    # The bytes of a file's name need not be text: Python makes lone surrogates of them, which UTF-8 cannot hold. The
    # escapes that stand for them here are those of JSON, so that what reads a line gets the very name.
    return text.encode("utf-8", "backslashreplace")
