"""A device emulated F times slower, in a link's namespace: `python -m benchmarks.plan.device BUNDLE SERVER F PHOTO...`.

Reads lines, JSON: ``{"cut", "codec", "tasks", "turn", "turns"}`` (no cut: the whole network on the device). Answers
each with the seconds of every photo of that turn, from its file to its results; the largest of them goes first, twice
and uncounted, so that caches are warm and TCP's window is as open as between photos that follow each other. A pause
F - 1 times as long follows what the device computes.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from splitnet.bundle import Bundle
from splitnet.edge.encoder import EdgeEncoder
from splitnet.edge.grpc_transport import GrpcTransport
from splitnet.models import preprocess
from splitnet.runtime.bundled import load_graph
from splitnet.wire.exchange import InferenceRequest

TIMEOUT = 60.0
WARM_UPS = 2
T = TypeVar("T")


class Device:
    """Answers photos one at a time."""

    def __init__(self, bundle: Bundle, server: str, slowdown: float) -> None:
        self._bundle, self._slowdown = bundle, slowdown
        self._transport = GrpcTransport(server)
        self._encoders: dict[tuple[str, str], EdgeEncoder] = {}
        self._whole = load_graph(bundle, bundle.manifest.whole)

    def run(self, cut: str, codec: str, tasks: Sequence[str], photos: Sequence[Path]) -> list[float]:
        """Seconds of each photo. Raises SplitnetError."""
        answer = self._split(cut, codec, tasks) if cut else self._alone
        for _ in range(WARM_UPS):
            answer(max(photos, key=lambda photo: photo.stat().st_size))
        seconds = []
        for photo in photos:
            started = time.perf_counter()
            answer(photo)
            seconds.append(time.perf_counter() - started)
        return seconds

    def _split(self, cut: str, codec: str, tasks: Sequence[str]) -> Callable[[Path], None]:
        key = (cut, codec)
        if key not in self._encoders:
            self._encoders[key] = EdgeEncoder(self._bundle, cut, codec)
        encoder, manifest = self._encoders[key], self._bundle.manifest

        def answer(photo: Path) -> None:
            frame = self._slowly(lambda: encoder.encode(photo).frame)
            request = InferenceRequest(manifest.name, self._bundle.fingerprint, cut, frame, tuple(tasks))
            self._transport.infer(request, TIMEOUT)

        return answer

    def _alone(self, photo: Path) -> None:
        image = self._bundle.manifest.image_input

        def compute() -> None:
            crop = preprocess.resize_and_crop(preprocess.load_image(photo, short_side=image.resize_short), image)
            self._whole.run({image.tensor: preprocess.normalise(crop, image)})

        self._slowly(compute)

    def _slowly(self, compute: Callable[[], T]) -> T:
        started = time.perf_counter()
        result = compute()
        time.sleep((self._slowdown - 1) * (time.perf_counter() - started))
        return result


def main() -> None:
    """Answer lines until the input ends."""
    bundle, server, slowdown, *photos = sys.argv[1:]
    device = Device(Bundle.load(bundle), server, float(slowdown))
    for line in sys.stdin:
        wanted = json.loads(line)
        turn = [Path(photo) for photo in photos[wanted["turn"] :: wanted["turns"]]]
        print(json.dumps(device.run(wanted["cut"], wanted["codec"], wanted["tasks"], turn)), flush=True)


if __name__ == "__main__":
    main()
