"""The coder `ctx` beside JPEG XL: sizes on eight feature maps at 8, 6 and 4 bits, and its speed on one thread."""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import numpy.typing as npt

import featcodec
from benchmarks.harness import Measured, main

Array = npt.NDArray[Any]
CUTS = ("block2", "block4", "block7", "block10")
DETECTOR = ("add.14", "relu.0", "relu.4", "relu.18")
PICTURES = ("astronaut", "coffee", "chelsea", "rocket")
BITS = (8, 6, 4)


def lite0_features(photos: int) -> Iterator[tuple[str, list[Array]]]:
    """EfficientNet-Lite0 at four cuts, of foolbox's photos."""
    import onnxruntime

    from splitnet.bundle.build import build_bundle
    from splitnet.demo.photos import labelled_photos
    from splitnet.models import preprocess

    with tempfile.TemporaryDirectory() as folder:
        bundle = build_bundle("efficientnet-lite0", Path(folder) / "bundle", cuts=CUTS)
        loaded = [preprocess.load_image(photo.path) for photo in labelled_photos()[:photos]]
        images = [preprocess.preprocess(image, bundle.manifest.image_input) for image in loaded]
        for cut in CUTS:
            session = onnxruntime.InferenceSession(bundle.path / "cuts" / f"{cut}.edge.onnx")
            name = session.get_inputs()[0].name
            yield cut, [session.run(None, {name: x if x.ndim == 4 else x[None]})[0][0] for x in images]


def detector_features() -> Iterator[tuple[str, list[Array]]]:
    """Four layers of rapidocr's text detector at 416x416, of scikit-image's photos."""
    import onnx
    import onnxruntime
    from PIL import Image

    data: Any = importlib.import_module("skimage.data")
    found = importlib.util.find_spec("rapidocr")
    assert found is not None
    assert found.submodule_search_locations is not None
    model = onnx.load(Path(found.submodule_search_locations[0]) / "models" / "PP-OCRv6_det_small.onnx")
    names = [f"p2o.pd_op.{layer}.0" for layer in DETECTOR]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    maps: dict[str, list[Array]] = {layer: [] for layer in DETECTOR}
    for picture in PICTURES:
        pixels = Image.fromarray(getattr(data, picture)()).convert("RGB").resize((416, 416))
        x = (np.asarray(pixels) / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
        run = session.run(names, {session.get_inputs()[0].name: x.transpose(2, 0, 1)[None].astype(np.float32)})
        for layer, features in zip(DETECTOR, run, strict=True):
            maps[layer].append(features[0])
    yield from maps.items()


def jpeg_xl_bytes(symbols: Array) -> int:
    """The smaller of efforts 7 and 9, lossless, with the channels tiled into one grey image."""
    codec: Any = importlib.import_module("imagecodecs")
    channels, height, width = symbols.shape
    across = int(np.ceil(np.sqrt(channels)))
    down = -(-channels // across)
    tiles = np.zeros((down * across, height, width), np.uint8)
    tiles[:channels] = symbols
    image = tiles.reshape(down, across, height, width).transpose(0, 2, 1, 3).reshape(down * height, across * width)
    return min(len(codec.jpegxl_encode(image, lossless=True, effort=effort)) for effort in (7, 9))


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median time of `work` after a warm-up, by this thread's clock, which others' work does not move."""
    times = []
    for _ in range(repeats + 1):
        start = time.thread_time()
        work()
        times.append(time.thread_time() - start)
    return median(times[1:])


def compare(name: str, bits: int, maps: list[Array], repeats: int) -> dict[str, Any]:
    """One row: whole frames of ctx, bytes of JPEG XL, and the kernel's time, over all maps."""
    ours = theirs = encode = decode = 0.0
    for features in maps:
        frame = featcodec.encode(features, f"affine:bits={bits}|ctx")
        quantised = featcodec.parse_spec(f"affine:bits={bits}").quantiser.quantise(features, None)[0]
        coder = featcodec.parse_spec("none|ctx").coder
        stream = memoryview(coder.encode(quantised, None))
        if not np.array_equal(coder.decode(stream, quantised.shape, quantised.dtype, None), quantised):
            raise SystemExit(f"{name} at {bits} bits does not round-trip")
        ours += len(frame)
        theirs += jpeg_xl_bytes(quantised)
        encode += seconds(partial(coder.encode, quantised, None), repeats)
        decode += seconds(partial(coder.decode, stream, quantised.shape, quantised.dtype, None), repeats)
    values = sum(features.size for features in maps)
    sizes = {"bits_per_value": 8 * ours / values, "jxl_bits_per_value": 8 * theirs / values, "vs_jxl": ours / theirs}
    return {"tensor": name, "bits": bits, **sizes, "values": values, "encode_s": encode, "decode_s": decode}


def measure(short: bool) -> Measured:
    """Ratios to JPEG XL (whole frames of ours) and million values a second over all tensors."""
    if importlib.util.find_spec("imagecodecs") is None:
        return Measured({}, [{"missing": "imagecodecs: pip install 'splitnet[bench]'"}])
    sources: list[tuple[str, list[Array]]] = [*lite0_features(3 if short else 10)]
    rows: list[dict[str, Any]] = []
    if importlib.util.find_spec("rapidocr") and importlib.util.find_spec("skimage"):
        sources += detector_features()
    else:
        rows.append({"missing": "detector tensors: pip install --no-deps rapidocr==3.10.0, and scikit-image"})
    found = [compare(name, bits, maps, 1 if short else 3) for name, maps in sources for bits in BITS]
    figures = {f"ctx.{row['tensor']}.{row['bits']}.size_vs_jxl": row["vs_jxl"] for row in found}
    figures["ctx.mean.size_vs_jxl"] = mean(row["vs_jxl"] for row in found)
    for way in ("encode", "decode"):
        figures[f"ctx.{way}_mvalues_s"] = sum(r["values"] for r in found) / sum(r[f"{way}_s"] for r in found) / 1e6
    return Measured(figures, rows + found)


if __name__ == "__main__":
    main("ctx", measure)
