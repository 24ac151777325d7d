"""featcodec: compact, self-describing frames for the feature maps of neural networks.

>>> import numpy as np, featcodec
>>> features = np.random.default_rng(0).standard_normal((80, 14, 14), np.float32)
>>> frame = featcodec.encode(features, "affine:bits=8|zlib:level=3")
>>> featcodec.decode(frame).shape
(80, 14, 14)

Needs numpy alone; compression libraries are imported when a spec uses them.
"""

from __future__ import annotations

from featcodec.codec import (
    decode,
    decode_coefficients,
    decode_many,
    encode,
    encode_many,
    encode_symbols,
    info,
    is_transform,
)
from featcodec.contract import ArrayCoder, ByteCoder, Profile, Quantiser, Stage
from featcodec.errors import (
    ChecksumError,
    FeatcodecError,
    FrameError,
    InputError,
    LimitError,
    MissingLibraryError,
    NonFiniteError,
    PayloadError,
    ProfileError,
    ProfileRequiredError,
    SpecError,
    TruncatedError,
    UnsupportedError,
)
from featcodec.header import Extension, FrameInfo, TensorInfo
from featcodec.limits import Limits
from featcodec.parameters import choice, integer, number
from featcodec.profile import TransformProfile, load_profile, make_profile
from featcodec.registry import ParameterInfo, StageInfo, list_stages
from featcodec.spec import Spec, parse_spec

__all__ = [
    "ArrayCoder",
    "ByteCoder",
    "ChecksumError",
    "Extension",
    "FeatcodecError",
    "FrameError",
    "FrameInfo",
    "InputError",
    "LimitError",
    "Limits",
    "MissingLibraryError",
    "NonFiniteError",
    "ParameterInfo",
    "PayloadError",
    "Profile",
    "ProfileError",
    "ProfileRequiredError",
    "Quantiser",
    "Spec",
    "SpecError",
    "Stage",
    "StageInfo",
    "TensorInfo",
    "TransformProfile",
    "TruncatedError",
    "UnsupportedError",
    "choice",
    "decode",
    "decode_coefficients",
    "decode_many",
    "encode",
    "encode_many",
    "encode_symbols",
    "info",
    "integer",
    "is_transform",
    "list_stages",
    "load_profile",
    "make_profile",
    "number",
    "parse_spec",
]
