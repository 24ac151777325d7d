"""Codec profiles of a bundle: which cut a profile is for, and whether it is this one."""

from __future__ import annotations

import featcodec
from splitnet.bundle.load import Bundle
from splitnet.bundle.manifest import Cut, Manifest
from splitnet.errors import BundleError, UsageError


def check_profile(profile: featcodec.TransformProfile, manifest: Manifest, cut: Cut) -> None:
    """Raise UsageError, naming both values, unless `profile` was calibrated for this network, version and cut."""
    for key, what, expected in (
        ("network", "network", manifest.name),
        ("network_version", "version of the network", manifest.version),
        ("cut", "cut", cut.name),
    ):
        found = profile.metadata.get(key)
        if found != expected:
            told = "names no" if found is None else f"is for {what} {found!r}, not"
            raise UsageError(f"the profile for cut {cut.name} {told} {what if found is None else repr(expected)}")
    if profile.shape != maps_shape(cut):
        raise UsageError(f"the profile for cut {cut.name} is for features {profile.shape}, not {maps_shape(cut)}")


def maps_shape(cut: Cut) -> tuple[int, int, int]:
    """(C, H, W) of the cut's tensor; a vector of C values is (C, 1, 1). Raises UsageError for any other tensor."""
    if cut.more:
        raise UsageError(f"cut {cut.name} has {len(cut.crossing)} tensors: a transform is for cuts of one")
    match cut.shape:
        case (channels,):
            return channels, 1, 1
        case (channels, height, width):
            return channels, height, width
    raise UsageError(f"cut {cut.name} is {cut.shape}: a transform needs feature maps (C, H, W) or a vector (C,)")


def load_profile(bundle: Bundle, cut: Cut) -> featcodec.TransformProfile:
    """The profile of `cut`, checked.

    Raises
    ------
    UsageError
        if the cut has no profile: names the cuts that have one; or the library that reads profiles is not installed.
    BundleError
        if the file is missing, altered, damaged or for other feature maps.
    """
    if cut.transform is None:
        names = [one.name for one in bundle.manifest.calibrated_cuts]
        known = (
            f"{', '.join(names)} {'have' if len(names) > 1 else 'has'} one" if names else "no cut of this bundle has"
        )
        raise UsageError(f"cut {cut.name} has no calibrated profile; {known}; make one with `splitnet calibrate`")
    path = cut.transform.profile
    try:
        profile = featcodec.load_profile(bundle.open_bytes(path))
        check_profile(profile, bundle.manifest, cut)
    except featcodec.MissingLibraryError as error:
        raise UsageError(str(error)) from error
    except (featcodec.ProfileError, UsageError) as error:
        raise BundleError(f"{bundle.path / path} cannot be used: {error}; build the bundle again") from error
    return profile
