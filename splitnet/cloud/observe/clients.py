"""Who asks, and how much: a bounded table."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

CLIENTS = 512
"""Clients kept; past that, whoever was silent the longest is forgotten."""


@dataclass(slots=True)
class Client:
    """Counts of one client since it was first seen, or seen again after it was forgotten; `seen` reads the clock."""

    requests: int = 0
    failed: int = 0
    bytes_in: int = 0
    seen: float = 0.0


class Clients:
    """Identity -> counts, in the order last seen. Not thread-safe."""

    def __init__(self, most: int = CLIENTS) -> None:
        self._most = most
        self._clients: OrderedDict[str, Client] = OrderedDict()

    def __len__(self) -> int:
        return len(self._clients)

    def add(self, identity: str, size: int, failed: bool, now: float) -> None:
        """Count a request whose frame has `size` bytes."""
        client = self._clients.get(identity)
        if client is None:
            client = self._clients[identity] = Client()
            if len(self._clients) > self._most:
                self._clients.popitem(last=False)
        else:
            self._clients.move_to_end(identity)
        client.requests += 1
        client.failed += failed
        client.bytes_in += size
        client.seen = now

    def busiest(self, most: int) -> list[tuple[str, Client]]:
        """Those with most requests, most first."""
        return sorted(self._clients.items(), key=lambda one: -one[1].requests)[:most]
