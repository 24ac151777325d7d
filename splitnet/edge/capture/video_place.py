"""Where a video is: what FFmpeg is told, and what people are."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from splitnet.edge.config.sources import VideoSource
from splitnet.errors import UsageError

_V4L2 = re.compile(r"/dev/video\d+")


@dataclass(frozen=True, slots=True)
class Place:
    """A video's place.

    `shown` is its URL without password, `url` the one for FFmpeg, `format` and `options` are FFmpeg's (no format: it
    finds out). `path` is there for what may be a file.
    """

    shown: str
    url: str = field(repr=False)
    format: str | None
    options: dict[str, str]
    path: Path | None = None

    @property
    def file(self) -> Path | None:
        """The file's absolute path; None for what has no end: a camera, a stream. Looks at the disk."""
        return self.path if self.path is not None and self.path.is_file() else None


def place_of(name: str, section: VideoSource) -> Place:
    """The place of a table.

    Raises
    ------
    UsageError
        for a URL with a password in it, or that is none.
    ConfigError
        if the password is not where the table says.
    """
    if "://" not in section.url:
        if section.password is not None:
            raise UsageError(f"sources.{name}.password is for URLs; {section.url} is none")
        # Absolute, so that FFmpeg takes no colon in it for a protocol.
        path = Path(section.url).absolute()
        given = section.format or ("v4l2" if _V4L2.fullmatch(section.url) else None)
        # A device of FFmpeg's, such as lavfi, may have a name that is no path.
        url = str(path) if path.exists() or not section.format else section.url
        return Place(section.url, url, given, dict(section.options), path)
    return Place(section.url, _url(name, section), section.format or None, _options(section))


def _url(name: str, section: VideoSource) -> str:
    try:
        parts = urlsplit(section.url)
        host = parts.netloc.rpartition("@")[2]
        user, given = parts.username or "", parts.password is not None
    except ValueError as error:
        raise UsageError(f"sources.{name}.url is no URL: {error}") from error
    if given:
        raise UsageError(f'sources.{name}.url holds a password; take it out and give password = {{ env = "NAME" }}')
    if section.password is None:
        return section.url
    password = quote(section.password.reveal(f"sources.{name}.password"), safe="")
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{host}"))


def _options(section: VideoSource) -> dict[str, str]:
    if not section.url.lower().startswith(("rtsp://", "rtsps://")):
        return dict(section.options)
    # TCP loses no packets and passes firewalls; FFmpeg counts its timeout in microseconds.
    own = {"rtsp_transport": "tcp", "timeout": str(round(section.timeout * 1e6))}
    return own | section.options
