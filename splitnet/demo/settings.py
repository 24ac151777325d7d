"""What the demo compares: cuts and codecs."""

from __future__ import annotations

from dataclasses import dataclass

import featcodec
from splitnet.bundle import Bundle
from splitnet.edge.encoder import default_codec

CUTS = ("block4", "block7", "block10")
DEFAULT_CUT = "block7"

CODECS = {
    "affine8_zstd": "affine:bits=8|zstd:level=3",
    "affine8_lzma": "affine:bits=8|lzma",
    "affine8_rans": "affine:bits=8|rans",
    "affine6_rans": "affine:bits=6|rans",
    "affine4_rans": "affine:bits=4|rans",
    "clip8_rans": "clip:levels=8|rans",
    "float16_zstd": "float16|shuffle|zstd:level=3",
    "none_raw": "none|raw",
}
"""Name in figures -> codec spec, for every cut. The first is the default of a cut that is not calibrated."""

LOSSLESS = (
    "none|raw",
    "none|floats",
    "none|shuffle",
    "none|zlib",
    "none|gzip",
    "none|bz2",
    "none|lzma",
    "none|zstd",
    "none|lz4",
    "none|brotli",
)
"""Codecs after which split and unsplit logits must be equal."""


TRANSFORM_STEPS = (1.25, 1.5, 2.0)
"""Steps that the demo shows of a calibrated cut, beside the cut's default step."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One cut with one codec: its name in figures, and its spec."""

    cut: str
    codec_name: str
    codec: str

    @property
    def short_codec(self) -> str:
        """The codec's canonical spec, without what is a default."""
        return str(featcodec.parse_spec(self.codec))

    @property
    def figure(self) -> str:
        """Prefix of this setting's figures."""
        return f"demo.{self.cut}.{self.codec_name}"


def settings_of(bundle: Bundle) -> tuple[Setting, ...]:
    """Every cut with every codec; the first is the default. Transforms come first where the default cut has one."""
    cuts = [bundle.cut(name) for name in (DEFAULT_CUT, "block4", "block10")]
    calibrated = [cut for cut in cuts if cut.transform is not None]
    transforms = [Setting(cut.name, "transform", default_codec(cut)) for cut in calibrated]
    transforms += [
        Setting(cut.name, f"transform_{step}", f"transform:step={step}|rans")
        for step in TRANSFORM_STEPS
        for cut in calibrated
        if cut.transform is not None and cut.transform.step != step
    ]
    others = [Setting(cut.name, name, codec) for name, codec in CODECS.items() for cut in cuts]
    return tuple(others + transforms if cuts[0].transform is None else transforms + others)
