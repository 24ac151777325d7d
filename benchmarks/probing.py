"""Probing beside gradients: what the calibrated codec loses where a network has none.

Two calibrations of block7 of EfficientNet-Lite0 on the same photos, cross-fitted, with the same tasks and weights: one
measures what an error costs from gradients (`fisher`), one from noise and the answers alone (`probing`), as for a
network that is only ONNX. Bytes are whole frames at the same mean KL divergence to the unsplit network.
"""

from __future__ import annotations

from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

from rich.progress import Progress

from benchmarks.fidelity.calibrated import calibrate, methods
from benchmarks.fidelity.curves import bootstrap, bytes_at, resamples
from benchmarks.fidelity.headline import BYTES_LEVELS, CODEC
from benchmarks.fidelity.measure import Store
from benchmarks.fidelity.methods import Missing
from benchmarks.fidelity.network import Network
from benchmarks.fidelity.photos import find_photos, load_crops
from benchmarks.fidelity.results import Curve
from benchmarks.harness import Measured, main
from splitnet.calibrate.calibration import Method
from splitnet.demo.main import demo_bundle
from splitnet.runtime import Array

OUT = Path("out/probing")
KEPT = Path("out/fidelity/cache")
"""The rate-fidelity benchmark measures the same frames of the same photos."""
CUT = "block7"
METHODS: tuple[Method, Method] = ("fisher", "probing")
SHORT_PHOTOS = 40


def measure(short: bool, data: Path | None = None) -> Measured:
    """Both methods on a folder's photos (40 when short), the demo's 20 without one."""
    photos = find_photos(data, SHORT_PHOTOS if short else None)
    bundle = demo_bundle(Path("out/demo/bundle"))
    network, store = Network(bundle), Store(KEPT)
    crops = load_crops(photos, bundle.manifest.image_input)
    subject = network.features(CUT, crops, network.pixels(crops).references)
    curves: list[Curve] = []
    for method in METHODS:
        profiles = calibrate(bundle, CUT, [one.path for one in photos], OUT / method, method=method).crossfit
        ours = next(one for one in methods(profiles) if one.name == CODEC and not isinstance(one, Missing))
        with Progress(transient=True) as progress:
            steps = progress.track(ours.settings, description=f"{method}: steps")
            points = {setting: store.point(ours, setting, subject, lambda: None) for setting in steps}
        curves.append(Curve(ours, points, subject.edge_ms))
    return compared(curves[0], curves[1], resamples(len(crops)))


def compared(gradients: Curve, probed: Curve, weights: Array) -> Measured:
    """Bytes of both at each level, and how many more probing's are, as a share of the other's."""
    figures: dict[str, float] = {"probing.photos": weights.shape[1]}
    rows: list[dict[str, Any]] = []
    for level in BYTES_LEVELS:
        found = {
            "fisher.bytes": gradients.bytes_at(level, weights),
            "probing.bytes": probed.bytes_at(level, weights),
            "extra": bootstrap(weights, partial(_extra, gradients, probed, level)),
        }
        row: dict[str, Any] = {"cut": CUT, "kl": level}
        for name, one in found.items():
            row[name] = [round(end, 4) if isfinite(end) else None for end in (one.value, one.low, one.high)]
            if isfinite(one.value):
                figures[f"probing.{CUT}.{name}_at_kl_{1000 * level:03.0f}"] = round(one.value, 4)
        rows.append(row)
    return Measured(figures, rows)


def _extra(gradients: Curve, probed: Curve, level: float, row: Array) -> float:
    return bytes_at(*probed.means(row), level) / bytes_at(*gradients.means(row), level) - 1


if __name__ == "__main__":
    main("probing", measure, {"data": "folder of photos; the demo's 20 without one"})
