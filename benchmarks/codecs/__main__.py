"""`python -m benchmarks.codecs`: lossless codecs on a bundle's feature maps, or on yours.

Lossy codecs are compared at equal fidelity by `python -m benchmarks.fidelity`; its published table is printed too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from benchmarks.codecs import report, tensors
from benchmarks.codecs.codecs import lossless
from benchmarks.codecs.measure import Row, measure
from benchmarks.fidelity.published import published_tables
from benchmarks.harness import RESULTS
from splitnet.demo.main import demo_bundle
from splitnet.demo.photos import labelled_photos
from splitnet.errors import SplitnetError
from splitnet.figures import write_results


def main(
    bundle: Annotated[Path | None, typer.Option(help="Bundle; the demo's by default.")] = None,
    cuts: Annotated[str, typer.Option(help="Comma-separated; all built ones by default.")] = "",
    data: Annotated[
        list[str] | None, typer.Option(help="Photos: files, folders, globs; the demo's by default.")
    ] = None,
    features: Annotated[list[Path] | None, typer.Option(help=".npy of floats (C, H, W) or (N, C, H, W).")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Photos used.")] = 20,
    csv: Annotated[Path | None, typer.Option(help="Also write the rows as CSV.")] = None,
    latex: Annotated[Path | None, typer.Option(help="Also write a LaTeX table of bits a value.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the page.")] = Path("out/codecs"),
    short: Annotated[bool, typer.Option("--short", help="Three photos, few repeats, nothing into results/.")] = False,
) -> None:
    """Measure size and speed of every lossless codec on float32 and on 8, 6 and 4 bit symbols."""
    console = Console()
    try:
        if features:
            sets = [tensors.from_file(path) for path in features]
        else:
            directory = bundle or demo_bundle(Path("out/demo/bundle"), console).path
            sources = data or [str(photo.path) for photo in labelled_photos()]
            wanted = [name for name in cuts.split(",") if name]
            sets = list(tensors.from_bundle(directory, wanted, sources, 3 if short else limit))
        rows = _measure([one for maps in sets for one in tensors.with_symbols(maps)], 0.0 if short else 1.0)
        for title, found in report.sections(rows):
            console.print(report.terminal_table(title, found))
        for part in published_tables():
            console.print(part)
        results = (out if short or features or bundle else RESULTS) / "codecs.json"
        figures = {
            f"codecs.{row.tensor}.{row.kind}.{row.codec}.bits": row.bits_per_value for row in rows if not row.note
        }
        numbers = {name: value for name, value in figures.items() if value is not None}
        command = "python -m benchmarks.codecs"
        written = write_results(results, command=command, figures=numbers, rows=[row.as_dict() for row in rows])
        report.write_page(out / "index.html", rows, written)
        if csv is not None:
            report.write_csv(csv, rows)
        if latex is not None:
            report.write_latex(latex, rows)
    except SplitnetError as error:
        typer.echo(f"benchmarks.codecs: {error}", err=True)
        raise typer.Exit(2) from error
    console.print(f"wrote {results} and {out / 'index.html'}")


def _measure(sets: list[tensors.Maps], seconds: float) -> list[Row]:
    jobs = [(codec, maps) for maps in sets for codec in lossless(maps.kind)]
    rows = []
    with Progress(transient=True) as progress:
        bar = progress.add_task("codecs", total=len(jobs))
        for codec, maps in jobs:
            progress.update(bar, description=f"{maps.tensor} {maps.kind} {codec.name}"[:44].ljust(44))
            rows.append(measure(codec, maps, seconds))
            progress.advance(bar)
    return rows


if __name__ == "__main__":
    typer.run(main)
