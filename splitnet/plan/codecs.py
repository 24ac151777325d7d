"""What is measured at a cut, and the image files that compete with it."""

from __future__ import annotations

from collections.abc import Sequence

import featcodec
from splitnet.bundle import Bundle, Cut
from splitnet.edge.encoder import PLAIN_CODEC, parse_codec
from splitnet.models.image_codec import ImageCodec
from splitnet.plan.curves import curve_rows

PLAIN_CODECS = (PLAIN_CODEC, "clip:levels=16|rans", "clip:levels=8|rans", "clip:levels=4|rans")
"""For cuts without a transform; the first also for those with one, for answers without loss."""

IMAGES = (
    *(ImageCodec("jpeg", quality) for quality in (75, 85, 90, 95)),
    *(ImageCodec("webp", quality) for quality in (75, 85, 90, 95)),
    ImageCodec("png"),
)
"""Files of the network's crop, as the cut `input` sends them; the last without loss."""


def images_for(bundle: Bundle) -> tuple[ImageCodec, ...]:
    """The image files that compete in this bundle; none where its network takes no images."""
    return IMAGES if bundle.manifest.input.kind == "image" else ()


def codecs_for(bundle: Bundle, cut: Cut, steps: Sequence[float] = ()) -> dict[str, featcodec.Spec]:
    """Specs in a fixed order, by their text, which names the step also where it is the default.

    A transform is measured at `steps`; without any at those of its curve and its default step, or where there is no
    curve at half, once and twice that step. Raises UsageError for a step out of range.
    """
    if cut.transform is None:
        return {codec: parse_codec(codec) for codec in PLAIN_CODECS}
    default = cut.transform.step
    chosen = tuple(steps) or tuple(row["step"] for row in curve_rows(bundle, cut)) or (default / 2, 2 * default)
    if not steps:
        chosen = (*chosen, default)
    codecs = (*(f"transform:step={step:.9g}|rans" for step in sorted(set(chosen))), PLAIN_CODEC)
    return {codec: parse_codec(codec) for codec in codecs}
