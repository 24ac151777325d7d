"""Energy of the processor packages, from the counters that Linux shows where the hardware has them (RAPL)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True, slots=True)
class _Domain:
    counter: Path
    wraps_at: int


class EnergyMeter:
    """Sums the packages. It sees all that runs on them, so that the machine should have nothing else to do."""

    def __init__(self, domains: tuple[_Domain, ...]) -> None:
        self._domains = domains

    @classmethod
    def open(cls, folder: Path = POWERCAP) -> Self | None:
        """A meter, or None where there are no counters or only root may read them."""
        domains = []
        try:
            for place in sorted(folder.glob("*-rapl:*")):
                # Cores and memory are parts of a package and `psys` is more than one: only packages, so that nothing
                # counts twice.
                if (place / "name").read_text(encoding="ascii").startswith("package"):
                    wraps_at = int((place / "max_energy_range_uj").read_text(encoding="ascii"))
                    domains.append(_Domain(place / "energy_uj", wraps_at))
            meter = cls(tuple(domains))
            meter.read()
        except (OSError, ValueError):
            return None
        return meter if domains else None

    def read(self) -> tuple[int, ...]:
        """The counters, in microjoules. Raises OSError."""
        return tuple(int(one.counter.read_text(encoding="ascii")) for one in self._domains)

    def since(self, before: tuple[int, ...]) -> float:
        """Joules since `read` returned `before`; a counter may have begun again once. Raises OSError."""
        pairs = zip(self._domains, before, self.read(), strict=True)
        return sum((now - then) % (domain.wraps_at + 1) for domain, then, now in pairs) / 1e6
