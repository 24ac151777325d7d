"""Whether a new bundle works on this device, before anything depends on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from splitnet.bundle import Bundle
from splitnet.bundle.manifest import ImageInput
from splitnet.bundle.verify import random_input
from splitnet.edge.adapt.choice import Choice, fixed
from splitnet.edge.daemon.model import Model
from splitnet.edge.encoder import Ready
from splitnet.errors import BundleError, SplitnetError
from splitnet.models import preprocess


def try_bundle(
    bundle: Bundle, make: Callable[[Bundle], Model], choices: Sequence[Choice | None], tasks: Sequence[str]
) -> None:
    """Check every file, load what `choices` need (None: the bundle's defaults), and run a random input through each.

    Raises
    ------
    BundleError
        that says what failed.
    """
    try:
        bundle.verify(half="edge")
        model = make(bundle)
        wanted, sample = model.tasks(tasks), _sample(bundle)
        for choice in choices:
            model.work(sample, choice or fixed(bundle).choice, wanted, 0)
        if model.answers(wanted):
            model.answer(sample, wanted, 0)
    except SplitnetError as error:
        raise BundleError(f"{bundle.manifest.name} {bundle.manifest.version} failed its self-test: {error}") from error


def _sample(bundle: Bundle) -> Ready:
    spec = bundle.manifest.input
    if not isinstance(spec, ImageInput):
        return Ready(spec, random_input(spec, 1))
    shape = (spec.height, spec.width, 3)
    pixels: preprocess.Pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return Ready(spec, pixels)
