"""Calibrated profiles that come with the zoo: files in ``profiles/NETWORK/`` beside this module."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

_PROFILE, _CURVE = ".safetensors", ".curve.json"


@dataclass(frozen=True)
class ShippedProfile:
    """The bytes of one cut's profile and of its rate-fidelity curve, if there is one."""

    profile: bytes
    curve: bytes | None


def shipped_profiles(network: str, folder: Traversable | None = None) -> dict[str, ShippedProfile]:
    """Name of a cut -> its profile, for every cut of `network` that was calibrated; empty where none was."""
    place = (folder or files("splitnet.models").joinpath("profiles")).joinpath(network)
    if not place.is_dir():
        return {}
    found = {entry.name: entry for entry in place.iterdir()}
    shipped = {}
    for name in sorted(found):
        if name.endswith(_PROFILE):
            cut = name.removesuffix(_PROFILE)
            curve = found.get(cut + _CURVE)
            shipped[cut] = ShippedProfile(found[name].read_bytes(), None if curve is None else curve.read_bytes())
    return shipped
