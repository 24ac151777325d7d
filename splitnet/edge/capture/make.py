"""From a table of the configuration to a source."""

from __future__ import annotations

from splitnet.edge.capture.contract import Source
from splitnet.edge.config.sources import AnySource, FolderSource, HttpSource, VideoSource
from splitnet.edge.sources import Kind
from splitnet.errors import UsageError


def make_source(name: str, section: AnySource, kind: Kind = "image") -> Source:
    """The source that a table describes; `kind` is what its model takes. Only what it needs is imported.

    Raises
    ------
    UsageError
        if a package is missing, or the source cannot be what the table says: an endpoint that others reach without a
        token, a video for a network that takes no images.
    ConfigError
        if a secret is not where the table says.
    """
    if isinstance(section, FolderSource):
        from splitnet.edge.capture.folder import WatchedFolder

        return WatchedFolder(name, section, kind)
    if isinstance(section, VideoSource):
        if kind != "image":
            raise UsageError(f"sources.{name} is a video, but its model takes no images; use a folder of .npy files")
        from splitnet.edge.capture.video import VideoStream

        return VideoStream(name, section)
    if isinstance(section, HttpSource):
        from splitnet.edge.capture.http import HttpEndpoint

        return HttpEndpoint(name, section, kind)
    from splitnet.edge.capture.stdin import PathLines

    return PathLines(name, section)
