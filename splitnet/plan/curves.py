"""The measured rate-fidelity curve of a bundle's cut, as the planner needs it."""

from __future__ import annotations

import json
from typing import Any

from splitnet.bundle import Bundle, Cut
from splitnet.errors import BundleError
from splitnet.plan.profile import Fidelity


def curve_rows(bundle: Bundle, cut: Cut) -> tuple[dict[str, Any], ...]:
    """The curve's rows that say step and bytes; empty without a curve. Raises BundleError for a damaged one."""
    path = None if cut.transform is None else cut.transform.curve
    if path is None:
        return ()
    try:
        rows = json.loads(bundle.open_bytes(path))["rows"]
        if all(isinstance(row, dict) for row in rows):
            return tuple(row for row in rows if _positive(row.get("step")) and _positive(row.get("bytes")))
    except (ValueError, RecursionError, KeyError, TypeError):
        pass
    raise BundleError(f"{bundle.path / path} is not a curve: its `rows` must be objects; build the bundle again")


def coded_bytes(bundle: Bundle, cut: Cut) -> float | None:
    """Measured mean bytes of a frame at the cut's default step; None where nobody measured just that."""
    for row in curve_rows(bundle, cut):
        if cut.transform is not None and row["step"] == cut.transform.step:
            return float(row["bytes"])
    return None


def curve_fidelity(bundle: Bundle, cut: Cut) -> dict[float, Fidelity]:
    """Step -> what the curve says of it: the worst KL divergence and agreement of all classifications."""
    path = None if cut.transform is None else cut.transform.curve
    if path is None:
        return {}
    photos = json.loads(bundle.open_bytes(path)).get("photos", 0)
    names = [task.name for task in bundle.manifest.tasks if task.kind == "classification"]
    found = {}
    for row in curve_rows(bundle, cut):
        divergences = [row[key] for key in (f"{name}.kl" for name in names) if key in row]
        agreements = [row[key] for key in (f"{name}.agreement" for name in names) if key in row]
        # A curve that does not say on how many photos is no measurement to rely on.
        if isinstance(photos, int) and photos > 0:
            found[float(row["step"])] = Fidelity(
                agreement=min(agreements, default=None),
                kl=max(divergences, default=None),
                bytes=float(row["bytes"]),
                photos=photos,
                source="curve",
            )
    return found


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and value > 0
