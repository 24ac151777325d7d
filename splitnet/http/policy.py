"""What a page may do: run its own script and style, and ask its own server."""

from __future__ import annotations

import base64
import hashlib
import re


def content_policy(page: str) -> str:
    """The Content-Security-Policy of a page whose script and style are in it, each allowed by its hash."""
    rules = [f"{tag}-src {_hashes(page, tag)}" for tag in ("script", "style")]
    return "; ".join([*rules, "connect-src 'self'", "img-src data:"])


def _hashes(page: str, tag: str) -> str:
    found = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in found)
