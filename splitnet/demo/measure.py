"""The demo's measurements: every setting over every photo, against the unsplit network and image files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import mean, median

import numpy as np

from splitnet.bundle import Bundle
from splitnet.demo.photos import LabelledPhoto, crop, image_bytes
from splitnet.demo.settings import LOSSLESS, Setting
from splitnet.edge.client import Edge
from splitnet.edge.encoder import EdgeEncoder
from splitnet.edge.grpc_transport import GrpcTransport
from splitnet.edge.trace import Trace
from splitnet.models import preprocess
from splitnet.runtime import Array
from splitnet.runtime.bundled import load_graph
from splitnet.tasks import Classification
from splitnet.wire.exchange import InferenceRequest

Progress = Callable[[str], None]
"""Called with a short description after each step."""

TASK = "classification"


@dataclass(frozen=True, slots=True)
class Reference:
    """One photo in the unsplit network, and as image files of the same crop."""

    photo: LabelledPhoto
    pixels: Array
    logits: Array
    jpeg_bytes: int
    png_bytes: int

    @property
    def top1(self) -> int:
        """Index of the unsplit network's best class."""
        return int(self.logits.argmax())


@dataclass(frozen=True, slots=True)
class Row:
    """One setting over all photos."""

    setting: Setting
    top1: tuple[int, ...]
    frame_bytes: tuple[int, ...]
    traces: tuple[Trace, ...]

    @property
    def bytes(self) -> float:
        """Mean size of a frame."""
        return mean(self.frame_bytes)

    def agreement(self, references: Sequence[Reference]) -> float:
        """Share of photos with the unsplit network's top-1."""
        return mean(float(mine == theirs.top1) for mine, theirs in zip(self.top1, references, strict=True))

    def accuracy(self, references: Sequence[Reference]) -> float:
        """Share of photos with the true label."""
        return mean(float(mine == one.photo.label) for mine, one in zip(self.top1, references, strict=True))

    def milliseconds(self) -> tuple[float, float, float]:
        """Median milliseconds on the edge (photo included), on the wire, in the cloud."""
        edge, wire, cloud = (
            median(getattr(trace, part) for trace in self.traces) for part in ("edge", "wire", "cloud")
        )
        return 1000 * edge, 1000 * wire, 1000 * cloud


@dataclass(slots=True)
class Lossless:
    """How far split and unsplit logits are apart with lossless codecs, as a share of the largest logit."""

    worst: float = 0.0
    compared: int = 0
    identical: int = 0
    by_cut: dict[str, list[float]] = field(default_factory=dict)


def references(bundle: Bundle, photos: Sequence[LabelledPhoto], step: Progress) -> list[Reference]:
    """Run the unsplit network, and code each crop as JPEG (quality 90) and PNG."""
    whole = load_graph(bundle, bundle.manifest.whole)
    spec = bundle.manifest.image_input
    output = bundle.task(TASK).output
    found = []
    for photo in photos:
        pixels = crop(photo, spec)
        logits = whole.run({whole.inputs[0].name: preprocess.normalise(pixels, spec)}, [output])[0][0]
        jpeg = image_bytes(pixels, "JPEG", quality=90)
        found.append(Reference(photo, pixels, logits, jpeg, image_bytes(pixels, "PNG", optimize=True)))
        step("unsplit network")
    return found


def run_setting(
    bundle: Bundle,
    address: str,
    setting: Setting,
    photos: Sequence[LabelledPhoto],
    step: Progress,
    repeats: int = 1,
) -> Row:
    """One setting over all photos, one request in flight; `repeats` passes give more timings, not other results."""
    top1: list[int] = []
    sizes: list[int] = []
    traces: list[Trace] = []
    with Edge(bundle, address, cut=setting.cut, codec=setting.codec) as edge:
        edge.connect()
        edge.infer(photos[0].path)  # the first request opens the connection and warms both graphs
        for turn in range(repeats):
            for photo in photos:
                inference = edge.infer(photo.path)
                traces.append(inference.trace)
                if turn == 0:
                    answer = inference.results[TASK]
                    assert isinstance(answer, Classification)
                    top1.append(answer.top[0].index)
                    sizes.append(inference.frame_bytes)
                    step(f"{setting.cut} {setting.codec}")
    return Row(setting, tuple(top1), tuple(sizes), tuple(traces))


def check_lossless(
    bundle: Bundle, address: str, cuts: Sequence[str], found: Sequence[Reference], step: Progress
) -> Lossless:
    """Compare split with unsplit logits for every lossless codec, cut and photo, through the real server."""
    result = Lossless()
    transport = GrpcTransport(address)
    try:
        for cut in cuts:
            encoders = [EdgeEncoder(bundle, cut, codec) for codec in LOSSLESS]
            differences: list[float] = []
            for reference in found:
                features = encoders[0].features(preprocess.normalise(reference.pixels, bundle.manifest.image_input))
                for encoder in encoders:
                    request = InferenceRequest(
                        bundle.manifest.name,
                        bundle.fingerprint,
                        cut,
                        encoder.compress(features),
                        tasks=(TASK,),
                        outputs=True,
                    )
                    logits = transport.infer(request, timeout=30.0).outputs[TASK]
                    scale = float(np.abs(reference.logits).max())
                    differences.append(float(np.abs(logits - reference.logits).max()) / scale)
                    step(f"lossless {cut} {encoder.spec}")
            result.by_cut[cut] = differences
    finally:
        transport.close()
    every = [value for differences in result.by_cut.values() for value in differences]
    result.worst, result.compared, result.identical = (
        max(every),
        len(every),
        sum(value == 0.0 for value in every),
    )
    return result
