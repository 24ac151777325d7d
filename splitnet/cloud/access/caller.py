"""Who asks, and what this one may."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from splitnet.errors import PermissionDeniedError


@dataclass(frozen=True, slots=True)
class Permits:
    """What a client may ask for. Names are patterns as in a shell (`lite0*`); `max_priority` bounds its priority."""

    models: tuple[str, ...] = ("*",)
    tasks: tuple[str, ...] = ("*",)
    max_priority: int = 3

    def allows_model(self, name: str) -> bool:
        return _matches(name, self.models)

    def allows_task(self, name: str) -> bool:
        return _matches(name, self.tasks)

    def check_model(self, name: str) -> None:
        """Raises PermissionDeniedError."""
        if not self.allows_model(name):
            raise PermissionDeniedError(f"this client may not use model {name[:80]!r}; it has {', '.join(self.models)}")

    def check_task(self, name: str) -> None:
        """Raises PermissionDeniedError."""
        if not self.allows_task(name):
            allowed = ", ".join(self.tasks)
            raise PermissionDeniedError(f"this client may not ask for task {name[:80]!r}; it has {allowed}")


EVERYTHING = Permits()


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """How much one client may ask for; None is no limit.

    `rate` is in requests a second, of which `burst` may come at once (a second's worth by default, at least one);
    `concurrency` counts requests that are not answered yet.
    """

    rate: float | None = None
    burst: int | None = None
    concurrency: int | None = None

    def over(self, defaults: ClientLimits) -> ClientLimits:
        """These limits, and the defaults where they say nothing. A rate brings its own burst."""
        burst = self.burst if self.burst is not None or self.rate is not None else defaults.burst
        return ClientLimits(
            defaults.rate if self.rate is None else self.rate,
            burst,
            defaults.concurrency if self.concurrency is None else self.concurrency,
        )


NO_LIMITS = ClientLimits()


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated client, or the machine at the other end where nobody has to say who they are.

    `identity` is what limits and repeated requests are counted by, `share` what the line is fair between: the same for
    an authenticated client, the connection for others, of which many may come from one machine.
    """

    identity: str
    share: str
    permits: Permits = EVERYTHING
    limits: ClientLimits = NO_LIMITS


ANYONE = Caller("local", "local")
"""The caller within this process."""


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(pattern == "*" or fnmatchcase(name, pattern) for pattern in patterns)
