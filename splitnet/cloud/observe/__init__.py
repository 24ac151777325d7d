"""The service seen from outside: counts, metrics, traces, logs, health, and the pages that show them."""

from splitnet.cloud.observe.observer import Observer, Observers

__all__ = ["Observer", "Observers"]
