"""How sinks know their servers."""

from __future__ import annotations

import ssl
from pathlib import Path

from splitnet.errors import UsageError


def trusting(ca: Path | None) -> ssl.SSLContext:
    """Certificates of this authority (a PEM file) are good, those of the system's without one; so are no others.

    Raises UsageError where the file cannot be used.
    """
    try:
        return ssl.create_default_context(cafile=ca)
    except ssl.SSLError as error:
        raise UsageError(f"{ca} holds no certificate in PEM form") from error
    except OSError as error:
        raise UsageError(f"{ca} cannot be read: {error.strerror or error}") from error
