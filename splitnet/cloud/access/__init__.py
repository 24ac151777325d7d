"""Who may ask for what, and how much of it."""

from splitnet.cloud.access.caller import ANYONE, Caller, Permits

__all__ = ["ANYONE", "Caller", "Permits"]
