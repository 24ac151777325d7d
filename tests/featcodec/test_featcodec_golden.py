"""Compatibility: every golden frame decodes to the same bytes for ever."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import featcodec
from featcodec.registry import BUILTIN

FOLDER = Path(__file__).parent.parent / "golden" / "v1"
MANIFEST: dict[str, dict[str, str]] = json.loads((FOLDER / "manifest.json").read_text())


@pytest.mark.parametrize("name", MANIFEST)
def test_golden_frame_decodes_as_ever(name: str) -> None:
    frame_file, array_file = FOLDER / f"{name}.fcf", FOLDER / f"{name}.npy"
    for kind, path in (("fcf", frame_file), ("npy", array_file)):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == MANIFEST[name][kind], f"{path} was changed"
    expected = np.load(array_file, allow_pickle=False)
    frame = frame_file.read_bytes()
    if "profile" in MANIFEST[name]:
        profile = featcodec.load_profile(FOLDER / f"{MANIFEST[name]['profile']}.safetensors")
        assert profile.fingerprint.hex() == MANIFEST[name]["profile_digest"], "the profile was changed"
        profiles = {profile.fingerprint: profile}
        decoded = featcodec.decode_coefficients(frame, profiles=profiles)
        assert np.isfinite(featcodec.decode(frame, profiles=profiles)).all()
    else:
        decoded = featcodec.decode(frame)
    assert (decoded.dtype, decoded.shape) == (expected.dtype, expected.shape)
    assert decoded.tobytes() == expected.tobytes()
    assert featcodec.info(frame).spec == MANIFEST[name]["spec"]


def test_no_golden_frame_is_missing_from_folder_or_manifest() -> None:
    listed = {f"{name}.{kind}" for name in MANIFEST for kind in ("fcf", "npy")}
    listed |= {f"{entry['profile']}.safetensors" for entry in MANIFEST.values() if "profile" in entry}
    assert {path.name for path in FOLDER.iterdir()} == listed | {"manifest.json"}


def test_every_built_in_stage_has_a_golden_frame() -> None:
    used = set()
    for entry in MANIFEST.values():
        spec = featcodec.parse_spec(entry["spec"])
        used |= {stage.name for stage in (spec.quantiser, spec.coder, spec.byte_coder) if stage}
    assert used == set(BUILTIN)
