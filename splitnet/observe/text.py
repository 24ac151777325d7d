"""Names that came over the network, made fit to be shown."""

from __future__ import annotations


def shown(text: str, most: int = 60) -> str:
    """At most `most` characters of `text`, each printable: no line breaks, escapes or text that runs backwards."""
    plain = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text[: most + 1])
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"
