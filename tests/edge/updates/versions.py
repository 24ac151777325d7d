"""Versions of the tiny bundle, signed or not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from splitnet.bundle import Bundle
from splitnet.bundle.signature import sign_bundle


def make_version(bundle: Bundle, target: Path, version: str, key: Path | None = None) -> Bundle:
    """The same networks under another version; signed with a private key, if one is given."""
    shutil.copytree(bundle.path, target)
    manifest = json.loads((bundle.path / "bundle.json").read_text()) | {"version": version}
    (target / "bundle.json").write_text(json.dumps(manifest))
    made = Bundle.load(target)
    if key is not None:
        sign_bundle(target, made.fingerprint, key)
    return made
