"""The demo's page: one HTML file with everything inside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from splitnet.bundle import Bundle
from splitnet.demo import pictures
from splitnet.edge.trace import medians
from splitnet.figures import write_text

if TYPE_CHECKING:
    from splitnet.demo.main import DemoResults

PICTURED = 3
"""Photos whose feature maps are shown."""


def write_page(path: Path, bundle: Bundle, results: DemoResults, written: Mapping[str, Any]) -> None:
    """Write the page. Raises OutputError."""
    environment = Environment(
        loader=PackageLoader("splitnet.demo", "templates"), autoescape=True, undefined=StrictUndefined
    )
    template = environment.get_template("index.html.j2")
    row = results.rows[0]
    write_text(
        path,
        template.render(
            default=results.default,
            fingerprint=bundle.fingerprint,
            manifest=bundle.manifest,
            machine=written["machine"],
            commit=written["commit"],
            jpeg=mean(one.jpeg_bytes for one in results.references),
            png=mean(one.png_bytes for one in results.references),
            unsplit_accuracy=written["figures"]["demo.unsplit.accuracy"],
            lossless=results.lossless,
            trace=medians(row.traces),
            trace_count=len(row.traces),
            photos=_photos(results),
            settings=_settings(results),
            size_chart=pictures.size_chart(results),
            time_chart=pictures.time_chart(results),
            channels=pictures.CHANNELS,
            features=pictures.feature_panels(bundle, results.references[:PICTURED], results.default),
        ),
    )


def _photos(results: DemoResults) -> list[dict[str, Any]]:
    row = results.rows[0]

    def words(index: int) -> str:
        return results.labels[index].split(",")[0]

    return [
        {
            "picture": pictures.photo_uri(reference.pixels),
            "true": words(reference.photo.label),
            "split": words(top1),
            "unsplit": words(reference.top1),
            "same": top1 == reference.top1,
            "right": top1 == reference.photo.label,
            "bytes": size,
            "jpeg": reference.jpeg_bytes,
        }
        for reference, top1, size in zip(results.references, row.top1, row.frame_bytes, strict=True)
    ]


def _settings(results: DemoResults) -> list[dict[str, Any]]:
    found = []
    for row in results.rows:
        edge, wire, cloud = row.milliseconds()
        found.append(
            {
                "cut": row.setting.cut,
                "codec": row.setting.codec,
                "bytes": row.bytes,
                "agreement": row.agreement(results.references),
                "accuracy": row.accuracy(results.references),
                "edge": edge,
                "wire": wire,
                "cloud": cloud,
                "first": row.setting == results.default,
            }
        )
    return found
