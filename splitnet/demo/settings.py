"""What the demo compares: cuts and codecs."""

from __future__ import annotations

from dataclasses import dataclass

import featcodec

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
"""Name in figures -> codec spec. The first is the default codec, and its row comes first."""

LOSSLESS = (
    "none|raw",
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


@dataclass(frozen=True, slots=True)
class Setting:
    """One cut with one codec."""

    cut: str
    codec_name: str

    @property
    def codec(self) -> str:
        """The codec's spec."""
        return CODECS[self.codec_name]

    @property
    def short_codec(self) -> str:
        """The codec's canonical spec, without what is a default."""
        return str(featcodec.parse_spec(self.codec))

    @property
    def figure(self) -> str:
        """Prefix of this setting's figures."""
        return f"demo.{self.cut}.{self.codec_name}"


SETTINGS = tuple(Setting(cut, name) for name in CODECS for cut in (DEFAULT_CUT, "block4", "block10"))
DEFAULT = SETTINGS[0]
