"""Tables of sources, one class a kind; docs/edge-daemon.md explains each key."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from splitnet.config.files import FilePath, Secret
from splitnet.config.sections import Address, Section

Drop = Literal["latest", "all"]
Fallback = Literal["local", "spool"]


def _from_its_folder(url: str, info: ValidationInfo) -> str:
    folder = (info.context or {}).get("folder")
    return url if folder is None or "://" in url else str(folder / url)


MediaUrl = Annotated[str, AfterValidator(_from_its_folder)]
"""A URL, or a path, which starts from the folder of the configuration file."""


class SourceSection(Section):
    """What every source has. Rates in inputs a second, deadlines in seconds from capture to answer.

    `tasks` are all of the bundle's where empty. With `drop` of `latest`, an input that waits gives way to a newer one;
    with `all`, none is ever dropped. `fallback` says what helps where no server answers in time, in this order.
    `min_agreement` and `max_kl` are floors of fidelity for the plan. `priority` is 0 (last) to 3 (first).
    `skip` is how much features may differ, as a share, before a scene counts as changed; 0 never skips.
    """

    model: str = ""
    tasks: tuple[str, ...] = ()
    top_k: int = Field(default=5, ge=1, le=1000)
    sink: str
    rate: float | None = Field(default=None, gt=0, le=10_000)
    deadline: float | None = Field(default=None, gt=0, le=3600)
    priority: int = Field(default=1, ge=0, le=3)
    drop: Drop = "latest"
    fallback: tuple[Fallback, ...] = ("local", "spool")
    min_agreement: float | None = Field(default=None, ge=0, le=1)
    max_kl: float | None = Field(default=None, ge=0)
    skip: float = Field(default=0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _promises(self) -> Self:
        if self.drop == "all" and self.skip:
            raise ValueError("skip does not go with drop = 'all', which promises an answer of its own to every input")
        return self


class FolderSource(SourceSection):
    """Files that appear in a folder. A file is taken once it did not change for `settle` seconds, or was closed.

    `after` says what becomes of a file that is answered (or in the spool): `keep`, `delete`, or `move` to `moved_to`.
    With `once`, the source ends when every file that is there has been offered.
    """

    kind: Literal["folder"]
    path: FilePath
    recursive: bool = True
    drop: Drop = "all"
    settle: float = Field(default=0.5, ge=0, le=60)
    rescan: float = Field(default=5.0, gt=0, le=3600)
    after: Literal["keep", "delete", "move"] = "keep"
    moved_to: FilePath | None = None
    once: bool = False

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if (self.after == "move") != (self.moved_to is not None):
            raise ValueError("after = 'move' needs moved_to, and moved_to needs after = 'move'")
        return self


class VideoSource(SourceSection):
    """A video file or a camera, through PyAV: a path, `/dev/video0` (V4L2), or an rtsp:// or http(s):// URL.

    `format` and `options` are FFmpeg's (`v4l2`, {video_size = "640x480"}). A file ends the source when it is over,
    unless `loop`; with `drop` of `latest` it plays at its own speed. `timeout` in seconds, for opening and each frame.
    The password of a URL belongs into `password`, not into `url`: `rtsp://user@camera/stream`.
    """

    kind: Literal["video"]
    url: MediaUrl = Field(min_length=1)
    password: Secret | None = None
    format: str = ""
    options: dict[str, str] = Field(default_factory=dict)
    loop: bool = False
    timeout: float = Field(default=10.0, gt=0, le=600)


class StdinSource(SourceSection):
    """Paths of photos on standard input, one a line; the source ends with the input."""

    kind: Literal["stdin"]
    drop: Drop = "all"


class HttpSource(SourceSection):
    """An endpoint for programs on this machine: POST /infer with a photo's file as body; answers with the record.

    On a Unix socket, or on an address: one that others can reach needs a token. With `drop` of `all`, what cannot be
    answered in time is accepted into the spool (202).
    """

    kind: Literal["http"]
    socket: FilePath | None = None
    listen: Address | None = None
    token: Secret | None = None
    hosts: tuple[str, ...] = ()
    max_bytes: int = Field(default=16 << 20, ge=1, le=1 << 30)
    max_pixels: int = Field(default=50_000_000, ge=1)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.socket is None) == (self.listen is None):
            raise ValueError("give either socket or listen")
        return self


AnySource = Annotated[FolderSource | VideoSource | StdinSource | HttpSource, Field(discriminator="kind")]
