"""What a gRPC call says about who sent it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc

from splitnet.cloud.access import Peer


def peer_of(context: grpc.aio.ServicerContext[Any, Any]) -> Peer:
    """The other end of a call; gRPC gives certificate names only of certificates that it verified."""
    security = context.auth_context()
    names = [*security.get("x509_subject_alternative_name", ()), *security.get("x509_common_name", ())]
    metadata: Iterable[tuple[str, str | bytes]] = context.invocation_metadata() or ()
    return Peer(context.peer(), tuple(metadata), tuple(name.decode("utf-8", "replace") for name in names))
