"""Helpers for testing stages, here and in other packages. Never imported by featcodec itself.

`featcodec.testing.strategies` (Hypothesis strategies) has to be imported by name: it needs hypothesis.
"""

from __future__ import annotations

from featcodec.testing.checks import check_config, check_repr, check_round_trip
from featcodec.testing.forge import profile_specs, stage_specs, with_checksum
from featcodec.testing.hostile import bombs, hostile_frames
from featcodec.testing.profiles import small_profile, small_profiles, synthetic_profile, synthetic_symbols

__all__ = [
    "bombs",
    "check_config",
    "check_repr",
    "check_round_trip",
    "hostile_frames",
    "profile_specs",
    "small_profile",
    "small_profiles",
    "stage_specs",
    "synthetic_profile",
    "synthetic_symbols",
    "with_checksum",
]
