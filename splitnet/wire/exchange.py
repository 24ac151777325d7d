"""A request and its answer, free of any transport."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from splitnet.bundle.manifest import ImageInput, TensorInput
from splitnet.tasks.results import FloatArray, Result

DEFAULT_MAX_FRAME_BYTES = 8 * 1024 * 1024
"""Largest frame that a service accepts unless told otherwise."""


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """One frame and the tasks wanted; no tasks means all of them, top_k of 0 means five classes.

    With `outputs`, the answer also holds each head's output as it is (logits, for classification). `request_id` is 16
    random bytes that make it safe to send the request again, or empty; `priority` (0 to 3) is served highest first.
    `traceparent` is the span that asks, as W3C Trace Context writes it, or empty.
    """

    model: str
    fingerprint: str
    cut: str
    frame: bytes
    tasks: tuple[str, ...] = ()
    top_k: int = 0
    outputs: bool = False
    version: str = ""
    request_id: bytes = b""
    priority: int = 0
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Timing:
    """Where the service's time went, in seconds; `total` runs from arrival to answer.

    `graph` and `heads` are those of the `batch` requests that ran together; `waiting` requests were in line when the
    answer was ready.
    """

    queue: float = 0.0
    decode: float = 0.0
    graph: float = 0.0
    heads: float = 0.0
    post: float = 0.0
    total: float = 0.0
    batch: int = 1
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class InferenceResponse:
    """Task name -> result, in the order asked for; task name -> its head's output, where the request asked for it."""

    results: Mapping[str, Result]
    timing: Timing = field(default_factory=Timing)
    outputs: Mapping[str, FloatArray] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """A served model: name, version and the bundle's fingerprint (64 hexadecimal digits)."""

    name: str
    version: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class CutInfo:
    """A served cut; `shape` has no batch dimension, `more` are shapes and dtypes of the other tensors that cross.

    `free` has for each tensor that crosses, the first one in front, the axes that follow the image's size; it is empty
    where none has any.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    macs_before: int
    macs_after: int
    more: tuple[tuple[tuple[int, ...], str], ...] = ()
    free: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Everything a client has to know about a served model; `input` has no tensor name over the wire."""

    summary: ModelSummary
    input: ImageInput | TensorInput
    cuts: tuple[CutInfo, ...]
    tasks: Mapping[str, str]
    codec_stages: tuple[str, ...]
    max_frame_bytes: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """A bundle to download; `path` and `offset` (bytes) say where to go on after a break."""

    name: str
    version: str = ""
    fingerprint: str = ""
    edge_only: bool = False
    path: str = ""
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes of one file of a bundle, from `offset` on; no `path` for the manifest, `size` of the whole file.

    The manifest's first chunk comes with the bundle's `signature`, empty where it has none.
    """

    path: str
    offset: int
    data: bytes
    size: int
    signature: bytes = b""
