"""What the calibrated codec costs beside the network: coding over the edge graph, decoding over the cloud graph.

Block7 of EfficientNet-Lite0 at its default codec, one photo at a time, one thread. The graphs are those with the
transform inside, as the edge and the service run them; coding is `featcodec.encode_symbols`, decoding
`featcodec.decode_coefficients`: whole frames, header and checksum included.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np

import featcodec
from benchmarks.fidelity.calibrated import calibrate, shipped
from benchmarks.harness import Measured, main
from splitnet.bundle import Bundle
from splitnet.bundle.profiles import load_profile
from splitnet.bundle.transform import add_transform
from splitnet.demo.main import demo_bundle
from splitnet.demo.photos import crop, labelled_photos
from splitnet.edge.encoder import default_codec
from splitnet.models import preprocess
from splitnet.runtime.bundled import load_graph

T = TypeVar("T")
CUT = "block7"
OUT = Path("out/coder_share")


def measure(short: bool, profile: Path | None = None) -> Measured:
    """Medians over photos and repeats, the four parts in turn: 20 repeats of 20 photos, 3 when short."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = add_transform(*_calibrated(profile), out=Path(folder) / "bundle")
        taken, size = _times(bundle, 3 if short else 20)
    edge, encode, decode, cloud = (1000 * median(times) for times in taken)
    figures = {"codec.encode_share_of_edge_graph": encode / edge, "codec.decode_share_of_cloud_graph": decode / cloud}
    codec = default_codec(bundle.cut(CUT))
    row = {"cut": CUT, "codec": codec, "bytes": size, "edge_graph_ms": edge, "encode_ms": encode}
    return Measured(figures, [row | {"decode_ms": decode, "cloud_graph_ms": cloud, "runs": len(taken[0])}])


def _calibrated(profile: Path | None) -> tuple[Bundle, str, bytes]:
    """The demo's bundle and a profile: the one given, the shipped one, or one calibrated on the demo's photos."""
    bundle = demo_bundle(Path("out/demo/bundle"))
    if profile is not None:
        return bundle, CUT, profile.read_bytes()
    found = shipped(bundle, CUT)
    if found is None:
        photos = [one.path for one in labelled_photos()]
        found = calibrate(bundle, CUT, photos, OUT / "calibration").profile
    return bundle, CUT, found.to_bytes()


def _times(bundle: Bundle, repeats: int) -> tuple[list[list[float]], float]:
    """Seconds of edge graph, coding, decoding and cloud graph, and mean bytes of a frame."""
    cut = bundle.cut(CUT)
    assert cut.transform is not None
    edge, cloud = (load_graph(bundle, path) for path in (cut.transform.edge, cut.transform.cloud))
    spec, profile = featcodec.parse_spec(default_codec(cut)), load_profile(bundle, cut)
    known, image = {profile.fingerprint: profile}, bundle.manifest.image_input
    step = np.array(cut.transform.step, np.float32)
    inputs = [preprocess.normalise(crop(photo, image), image) for photo in labelled_photos()]
    name = next(one.name for one in edge.inputs if one.name != "step")
    encode = partial(featcodec.encode_symbols, spec=spec, profile=profile, shape=(1, *cut.shape))
    taken: list[list[float]] = [[] for _ in range(4)]
    sizes = []
    # The first round warms up.
    for index in range(-1, repeats):
        for tensor in inputs:
            feeds = {name: tensor, "step": step}
            (symbols, _), edge_s = _timed(partial(edge.run, feeds, ["symbols", "finite"]))
            frame, encode_s = _timed(partial(encode, symbols[0]))
            values, decode_s = _timed(partial(featcodec.decode_coefficients, frame, profiles=known))
            _, cloud_s = _timed(partial(cloud.run, {cloud.inputs[0].name: values[np.newaxis]}))
            if index >= 0:
                sizes.append(len(frame))
                for times, one in zip(taken, (edge_s, encode_s, decode_s, cloud_s), strict=True):
                    times.append(one)
    return taken, float(np.mean(sizes))


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    """Seconds of this thread's processor time: a busy machine does not count."""
    start = time.thread_time()
    result = work()
    return result, time.thread_time() - start


if __name__ == "__main__":
    main("coder_share", measure, {"profile": "profile of the codec (default: the shipped one)"})
