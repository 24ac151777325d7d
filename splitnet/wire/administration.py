"""The administrator's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from splitnet.v1 import admin_pb2 as pb

if TYPE_CHECKING:
    from splitnet.cloud.repository.state import Version


def version_to_message(version: Version) -> pb.Version:
    """One version as it travels."""
    return pb.Version(
        name=version.name,
        version=version.version,
        state=pb.VersionState.Value(f"VERSION_STATE_{version.state.upper()}"),
        error=version.error,
        fingerprint=bytes.fromhex(version.fingerprint),
        default=version.default,
        pinned=version.pinned,
    )


def state_name(version: pb.Version) -> str:
    """`serving`, `failed` and so on; a number where a newer service has more states."""
    try:
        return pb.VersionState.Name(version.state).removeprefix("VERSION_STATE_").lower()
    except ValueError:
        return str(version.state)
