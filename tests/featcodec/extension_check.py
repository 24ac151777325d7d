"""Run by test_featcodec_extension.py in a process that has the example package installed."""

from __future__ import annotations

import hashlib
from importlib import import_module
from typing import Any

import numpy as np

import featcodec
from featcodec.errors import FeatcodecError
from featcodec.testing import check_config, check_repr, check_round_trip, hostile_frames

features = np.linspace(-3, 3, 60, dtype=np.float32).reshape(3, 4, 5)
blocks = np.repeat(np.arange(4, dtype=np.uint8), 300)


def refused(expected: type[FeatcodecError], call: Any, *arguments: Any, **options: Any) -> FeatcodecError:
    """Assert that the call raises `expected` and return the error."""
    try:
        call(*arguments, **options)
    except expected as error:
        return error
    raise AssertionError(f"{expected.__name__} expected")


names = {stage.name for stage in featcodec.list_stages()}
assert {"subtract", "runs", "invert"} <= names, names

check_round_trip("none|shuffle|invert", features)
check_round_trip("affine:bits=4|runs", features)
check_round_trip("none|runs", blocks)
assert featcodec.info(featcodec.encode(blocks, "none|runs")).tensors[0].payload_bytes == 16
refused(featcodec.SpecError, featcodec.parse_spec, "none|runs|zlib")
refused(featcodec.InputError, featcodec.encode, features, "none|runs")

subtract: Any = import_module("featcodec_example.subtract")
profile = subtract.MeanProfile(0.25, hashlib.sha256(b"a profile").digest())
other = subtract.MeanProfile(0.5, hashlib.sha256(b"another").digest())
spec = "subtract:step=0.5|shuffle|zlib"
decoded = check_round_trip(spec, features, profile=profile)
assert np.abs(decoded - features).max() <= 0.25
frame = featcodec.encode(features, spec, profile=profile)
assert featcodec.info(frame).fingerprint == profile.fingerprint[:8]
both = {p.fingerprint: p for p in (profile, other)}
assert np.array_equal(featcodec.decode(frame, profiles=both), decoded)
missing = refused(featcodec.ProfileRequiredError, featcodec.decode, frame)
assert isinstance(missing, featcodec.ProfileRequiredError)
assert missing.fingerprint == profile.fingerprint[:8]
refused(featcodec.ProfileRequiredError, featcodec.decode, frame, profiles={other.fingerprint: other})
refused(featcodec.ProfileRequiredError, featcodec.encode, features, spec)
plain = featcodec.encode(features, "none", profile=profile)
assert featcodec.info(plain).fingerprint == b"", "a codec without a profile names none"

for stage in (subtract.Subtract(step=0.5), featcodec.parse_spec("affine|runs").coder):
    check_config(stage)
    check_repr(stage)

for _, hostile in hostile_frames():
    try:
        featcodec.decode_many(hostile, limits=featcodec.Limits(decoded_bytes=1 << 20))
    except FeatcodecError:
        continue
print("extension works")
