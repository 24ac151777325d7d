"""The order of versions."""

from __future__ import annotations

import re

Key = tuple[object, ...]


def version_key(version: str) -> Key:
    """Sorts versions from the oldest to the newest: digits as numbers, what follows a hyphen before the release itself.

    1.9 < 1.10-rc1 < 1.10 < 1.10.1. Versions that are hashes have an order, but it means nothing: pin one.
    """
    release, _, candidate = version.partition("-")
    return _pieces(release), not candidate, _pieces(candidate), version


def _pieces(text: str) -> tuple[tuple[int, int, str], ...]:
    found = re.findall(r"[0-9]+|[A-Za-z]+", text)
    return tuple((1, int(piece), "") if piece[0].isdigit() else (0, 0, piece) for piece in found)
