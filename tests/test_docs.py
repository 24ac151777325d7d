"""README and docs: no placeholder left, links lead somewhere, figures are the published ones."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_placeholders(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"@[A-Z0-9]+@", text)
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_the_readmes_figures_are_the_published_ones() -> None:
    published: dict[str, float] = {}
    for path in (ROOT / "benchmarks/results").glob("*.json"):
        published |= json.loads(path.read_text(encoding="utf-8"))["figures"]
    rows = re.findall(
        r"^\| `([a-z0-9_.]+)` \| .* \| ([0-9.,e-]+) \|", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE
    )
    assert len(rows) >= 10
    for name, shown in rows:
        assert float(shown.replace(",", "")) == pytest.approx(published[name], rel=0.01), name
