"""The profiles that come with the project, on the demo's 20 photos: what anyone can measure after `make setup`."""

from __future__ import annotations

from pathlib import Path

from benchmarks.fidelity import calibrated
from benchmarks.fidelity.curves import resamples
from benchmarks.fidelity.headline import CODEC, Figure, headline
from benchmarks.fidelity.measure import Store
from benchmarks.fidelity.methods import Missing
from benchmarks.fidelity.network import Network
from benchmarks.fidelity.photos import find_photos, load_crops
from benchmarks.fidelity.results import Curve
from benchmarks.harness import Measured
from splitnet.demo.main import demo_bundle

OUT = Path("out/fidelity")


def measure(short: bool) -> Measured:
    """Figures `codec.CUT.shipped.*` of every cut of the demo's bundle that has a shipped profile."""
    bundle = demo_bundle(Path("out/demo/bundle"))
    network, store = Network(bundle), Store(OUT / "cache")
    found = [one for cut in bundle.manifest.built_cuts for one in shipped_figures(network, cut.name, store)]
    return Measured({one.name: one.found.value for one in found}, [one.as_dict() for one in found])


def shipped_figures(network: Network, cut: str, store: Store) -> list[Figure]:
    """Of one cut, with intervals; nothing without a profile. Raises as the benchmark does."""
    profile = calibrated.shipped(network.bundle, cut)
    if profile is None:
        return []
    crops = load_crops(find_photos(None, None), network.bundle.manifest.image_input)
    subject = network.features(cut, crops, network.pixels(crops).references)
    ours = next(one for one in calibrated.methods([profile]) if one.name == CODEC and not isinstance(one, Missing))
    points = {setting: store.point(ours, setting, subject, lambda: None) for setting in ours.settings}
    return headline(f"codec.{cut}.shipped", [Curve(ours, points, subject.edge_ms)], resamples(len(crops)))
