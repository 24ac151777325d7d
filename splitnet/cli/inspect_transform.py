"""What `splitnet inspect` says about a cut's calibrated transform."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from splitnet.bundle import Bundle, Cut


def transform_report(bundle: Bundle, cut: Cut) -> dict[str, Any]:
    """Profile, step, blocks, bands and curve. Raises BundleError for a damaged profile or curve."""
    from splitnet.bundle.profiles import load_profile

    profile = load_profile(bundle, cut)
    assert cut.transform is not None
    blocks, frequencies, components = profile.symbols_shape
    return {
        "profile": profile.fingerprint.hex(),
        "metadata": dict(profile.metadata),
        "step": cut.transform.step,
        "block": list(profile.blocks),
        "blocks": blocks,
        "frequencies": frequencies,
        "components": components,
        "bands": len(profile.analysis),
        "contexts": len(profile.context_offsets),
        "profile_bytes": len(profile.to_bytes()),
        "curve": _curve(bundle, cut),
    }


def print_transform(console: Console, bundle: Bundle, cut: Cut) -> None:
    """A few lines, and the curve as a table: the step, then its rows' other numbers, without the ends of intervals."""
    from rich.markup import escape
    from rich.table import Table

    report = transform_report(bundle, cut)
    height, width = report["block"]
    method = report["metadata"].get("method")
    console.print(
        f"\ntransform of {escape(cut.name)}: profile {report['profile'][:16]}, {report['profile_bytes']:,} bytes"
        + (f", method {escape(method)}" if method else "")
    )
    console.print(
        f"step {report['step']:g}, {report['blocks']} block{'s' if report['blocks'] > 1 else ''} of {height}x{width}"
        f" with {report['frequencies']} frequencies in {report['bands']} bands, {report['contexts']} contexts"
    )
    rows = [] if report["curve"] is None else report["curve"]["rows"]
    if not rows:
        return
    columns = [name for name, value in rows[0].items() if isinstance(value, int | float) and not _is_end(name)]
    columns.sort(key="step".__ne__)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(escape(name), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(_number(row.get(name)) for name in columns))
    console.print(table)


def _curve(bundle: Bundle, cut: Cut) -> dict[str, Any] | None:
    from splitnet.errors import BundleError

    assert cut.transform is not None
    path = cut.transform.curve
    if path is None:
        return None
    try:
        content = json.loads(bundle.open_bytes(path))
        if all(isinstance(row, dict) for row in content["rows"]):
            return dict(content)
    except (ValueError, RecursionError, KeyError, TypeError):
        pass
    raise BundleError(f"{bundle.path / path} is not a curve: its `rows` must be objects; build the bundle again")


def _is_end(name: str) -> bool:
    return name.endswith(("_low", "_high"))


def _number(value: object) -> str:
    if not isinstance(value, int | float):
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"
