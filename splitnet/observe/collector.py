"""Prometheus metrics that are read from counts when somebody asks for them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, generate_latest
from prometheus_client.registry import Collector


class CountsCollector(Collector):
    """Collects `families` under a lock, and what the process takes."""

    def __init__(self, lock: AbstractContextManager[Any, Any]) -> None:
        self._lock = lock
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def families(self) -> Iterable[Metric]:
        """The metrics now; called with the lock held."""
        raise NotImplementedError

    def text(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self.registry)

    def describe(self) -> Iterable[Metric]:
        # Without it the registry collects everything once, only to learn the names.
        return []

    def collect(self) -> Iterable[Metric]:
        with self._lock:
            return list(self.families())
