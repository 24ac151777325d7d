"""The profile of an emulated device and of this machine as its server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from splitnet.bundle import Bundle
from splitnet.models import preprocess
from splitnet.plan.bench import Bench
from splitnet.plan.measure import Settings
from splitnet.plan.measure_cloud import measure_cloud
from splitnet.plan.measure_edge import measure_edge
from splitnet.plan.profile import Profile
from splitnet.plan.subject import Subject

CUTS = ("block4", "block7", "block10")
SLOWDOWN = 20.0
STEPS = (1.0, 1.5, 1.75, 2.0, 2.5)


def emulated_profile(bundle: Bundle, photos: Sequence[Path]) -> Profile:
    """Both halves, measured here; the device's slowed down. Raises SplitnetError."""
    manifest = bundle.manifest
    image = manifest.image_input
    crops = tuple(
        preprocess.resize_and_crop(preprocess.load_image(photo, short_side=image.resize_short), image)
        for photo in photos
    )
    subject = Subject(image, crops, tuple(photos))

    def silent(*_: object) -> None:
        return

    return Profile(
        network=manifest.name,
        version=manifest.version,
        fingerprint=bundle.fingerprint,
        edge=measure_edge(bundle, subject, Settings(CUTS, Bench(20, SLOWDOWN), STEPS, threads=1), silent),
        cloud=measure_cloud(bundle, subject, Settings(CUTS, Bench(20), STEPS, threads=1), silent),
    )
