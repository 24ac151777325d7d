"""A bundle at work on the device: everything that computes, in one thread."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, TypeVar

import featcodec
from featcodec.quantisers.transform import Transform
from splitnet.bundle import Bundle
from splitnet.bundle.manifest import ImageInput
from splitnet.edge.adapt.choice import Choice
from splitnet.edge.encoder import EdgeEncoder, Encoded, Photo, Ready, parse_codec, prepare
from splitnet.edge.whole import WholeNetwork, has_whole
from splitnet.models.image_codec import ImageCodec
from splitnet.tasks import Result
from splitnet.tasks.written import as_json

ENCODERS = 4
"""Edge graphs in memory at a time: the one in use longest ago makes room."""
JPEG = "jpeg:quality=90"
"""What bytes saved are counted against."""
COMPARED = 50
"""Every so many inputs, one is also coded as JPEG, to know what it would have been."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """What the device made of an input: a frame to send, or results. `seconds` is all the time it took."""

    ready: Ready
    choice: Choice
    seconds: float
    encoded: Encoded | None = None
    results: Mapping[str, Any] | None = None


class Model:
    """Runs the halves that are asked for; graphs are loaded when they are first needed.

    Called from the compute thread. `slowdown` emulates a device that many times slower, by pauses.
    """

    def __init__(
        self,
        name: str,
        bundle: Bundle,
        *,
        threads: int = 1,
        cloud_only: Collection[str] = (),
        slowdown: float = 1.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name, self.bundle = name, bundle
        self._threads, self._cloud_only = threads, cloud_only
        self._slowdown, self._sleep = slowdown, sleep
        self._encoders: OrderedDict[tuple[str, str], EdgeEncoder] = OrderedDict()
        self._seen, self.jpeg_bytes = 0, None if not isinstance(bundle.manifest.input, ImageInput) else 0.0

    @cached_property
    def _whole(self) -> WholeNetwork | None:
        """Loaded when the device has to answer, or a plan may have it: it takes as much memory as an edge graph."""
        if not has_whole(self.bundle):
            return None
        return WholeNetwork(self.bundle, threads=self._threads, cloud_only=self._cloud_only)

    def tasks(self, wanted: Sequence[str]) -> tuple[str, ...]:
        """The tasks of a request: all of the bundle's where none are named. Raises UsageError for an unknown one."""
        return tuple(self.bundle.task(name).name for name in wanted) or tuple(
            task.name for task in self.bundle.manifest.tasks
        )

    def answers(self, tasks: Sequence[str]) -> bool:
        """Whether the device can answer all of these alone."""
        return self._whole is not None and set(tasks) <= set(self._whole.tasks)

    def load(self, choice: Choice) -> None:
        """Load what a choice needs, before the first input does. Raises UsageError, BundleError, ModelError."""
        if choice.mode != "edge":
            self._encoder(choice)

    def check(self, choice: Choice) -> None:
        """See whether a choice can be run, and load nothing. Raises UsageError."""
        if choice.mode != "edge":
            self.bundle.cut(choice.cut)
            _graph_of(choice.cut, choice.codec)

    def work(self, photo: Photo | Ready, choice: Choice, tasks: Sequence[str], top_k: int) -> Work:
        """Do what `choice` says. Raises ImageError, SampleError."""
        # A graph that is loaded first is no sign of a slow device.
        encoder = None if choice.mode == "edge" else self._encoder(choice)
        started = time.perf_counter()
        ready = prepare(photo, self.bundle.manifest.input)
        encoded = None if encoder is None else encoder.encode_ready(ready)
        results = self._answer(ready, tasks, top_k) if encoder is None else None
        seconds = self._slow(started)
        self._compare(ready)
        return Work(ready, choice, seconds, encoded, results)

    def answer(self, ready: Ready, tasks: Sequence[str], top_k: int) -> Mapping[str, Any]:
        """The whole network's answers to an input that was read already, as JSON types. Raises ImageError."""
        started = time.perf_counter()
        results = self._answer(ready, tasks, top_k)
        self._slow(started)
        return results

    def _answer(self, ready: Ready, tasks: Sequence[str], top_k: int) -> Mapping[str, Any]:
        assert self._whole is not None
        return written(self._whole.run(ready.tensor, tasks, top_k))

    def _encoder(self, choice: Choice) -> EdgeEncoder:
        key, spec = _graph_of(choice.cut, choice.codec)
        encoder = self._encoders.get(key)
        if encoder is None:
            while len(self._encoders) >= ENCODERS:
                self._encoders.popitem(last=False)
            encoder = self._encoders[key] = EdgeEncoder(self.bundle, choice.cut, choice.codec, threads=self._threads)
        self._encoders.move_to_end(key)
        if spec is not None:
            # Another step is another number to the same graph.
            encoder.spec = spec
        return encoder

    def _compare(self, ready: Ready) -> None:
        if self.jpeg_bytes is None:
            return
        if self._seen % COMPARED == 0:
            codec = ImageCodec.parse(JPEG)
            assert codec is not None
            size = len(codec.encode(ready.pixels))
            self.jpeg_bytes += (size - self.jpeg_bytes) / min(10, 1 + self._seen // COMPARED)
        self._seen += 1

    def _slow(self, started: float) -> float:
        seconds = time.perf_counter() - started
        if self._slowdown > 1:
            self._sleep((self._slowdown - 1) * seconds)
        return self._slowdown * seconds


def written(results: Mapping[str, Result]) -> dict[str, Any]:
    """Results as JSON types."""
    return {task: as_json(result) for task, result in results.items()}


@lru_cache(maxsize=256)
def _graph_of(cut: str, codec: str) -> tuple[tuple[str, str], featcodec.Spec | None]:
    """What tells graphs apart, and the spec to set; None of an image codec, which is the encoder's own."""
    if ImageCodec.parse(codec) is not None:
        return (cut, codec), None
    spec = parse_codec(codec)
    kind = replace(spec, quantiser=Transform(step=1.0)) if isinstance(spec.quantiser, Transform) else "plain"
    return (cut, str(kind)), spec
