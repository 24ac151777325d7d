"""`python -m benchmarks.fidelity`: bytes against fidelity, image files beside features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.fidelity import calibrated, features, images, report, results, video
from benchmarks.fidelity.curves import resamples
from benchmarks.fidelity.headline import headline
from benchmarks.fidelity.measure import Store
from benchmarks.fidelity.methods import AnyMethod
from benchmarks.fidelity.network import Network
from benchmarks.fidelity.photos import find_photos, load_crops
from benchmarks.fidelity.plot import plot
from benchmarks.fidelity.run import Wanted, run
from benchmarks.fidelity.shipped import shipped_figures
from benchmarks.harness import RESULTS, figure_table
from splitnet.bundle import Bundle
from splitnet.demo.main import demo_bundle
from splitnet.errors import SplitnetError
from splitnet.figures import write_results

SHORT = 5


def main(
    data: Annotated[
        Path | None, typer.Option(help="Folder of photos, with labels.csv if there is one; the demo's 20 by default.")
    ] = None,
    cut: Annotated[str, typer.Option(help="Comma-separated.")] = "block7",
    bundle: Annotated[Path | None, typer.Option(help="Bundle; the demo's by default.")] = None,
    limit: Annotated[int | None, typer.Option(min=2, help="Photos used.")] = None,
    only: Annotated[str, typer.Option(help="Comma-separated names of methods.")] = "",
    labels: Annotated[bool, typer.Option("--labels", help="Also the share of right labels.")] = False,
    csv: Annotated[Path | None, typer.Option(help="Also write every setting as CSV.")] = None,
    latex: Annotated[Path | None, typer.Option(help="Also write a LaTeX table.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the page and of kept measurements.")] = Path("out/fidelity"),
    work: Annotated[
        Path | None, typer.Option(help="Folder of what an interrupted calibration goes on from; OUT/calibration.")
    ] = None,
    short: Annotated[bool, typer.Option("--short", help="Five photos, one variant a format.")] = False,
) -> None:
    """Measure bytes and KL divergence to the unsplit network for image files, features and features as video.

    Only a run with --data and nothing left out writes into benchmarks/results; others write into --out.
    """
    console = Console()
    wanted = Wanted(_names(cut), _names(only), short)
    try:
        wanted.check([*images.variants(), *features.methods(), *video.variants(), *calibrated.methods(())])
        photos = find_photos(data, SHORT if short else limit)
        loaded = Bundle.load(bundle) if bundle else demo_bundle(Path("out/demo/bundle"), console)
        for name in wanted.cuts:
            loaded.cut(name)
        crops = load_crops(photos, loaded.manifest.image_input)
        network, store = Network(loaded), Store(out / "cache")
        paths = [photo.path for photo in photos]

        def ours(cut: str) -> Sequence[AnyMethod]:
            asked = wanted.any(calibrated.NAMES)
            return calibrated.methods_for(loaded, cut, paths, work or out / "calibration") if asked else ()

        found, trials = run(network, crops, wanted, store, ours)
        weights = resamples(len(crops))
        sections, codec = [], []
        for name, curves in found.items():
            with console.status(f"{name}: intervals"):
                settings = results.setting_rows(name, curves, weights, crops.labels if labels else None)
                rows = results.summarise(name, curves, weights)
                sections.append(report.Section(name, rows, settings, plot(curves, weights)))
                if len(crops) >= calibrated.CROSSFIT_FROM:
                    codec += headline(f"codec.{name}", curves, weights)
                codec += shipped_figures(network, name, store) if wanted.any(calibrated.NAMES) and not short else []
            Console(width=max(console.width, 124)).print(report.terminal_table(f"{name}, {len(crops)} photos", rows))
        whole = data is not None and not (only or short or limit or bundle)
        target = (RESULTS if whole else out) / "fidelity.json"
        listed = [one.as_dict() for one in codec]
        listed += [one.as_dict() for section in sections for one in section.rows]
        listed += [dict(row) for section in sections for row in section.settings]
        listed += [{"table": "variants"} | one.as_dict() for one in trials]
        figures = {one.name: one.found.value for one in codec}
        written = write_results(
            target,
            command=_command(data, cut, limit, only, short),
            figures=results.figures([row for section in sections for row in section.rows])
            | figures
            | {"fidelity.photos": len(crops)},
            rows=listed,
        )
        report.write_page(out / "index.html", sections, trials, len(crops), written)
        if csv is not None:
            report.write_csv(csv, [row for section in sections for row in section.settings])
        if latex is not None:
            report.write_latex(latex, sections)
    except SplitnetError as error:
        typer.echo(f"benchmarks.fidelity: {error}", err=True)
        raise typer.Exit(2) from error
    if figures:
        console.print(figure_table(figures))
    console.print(f"wrote {target} and {out / 'index.html'}")


def _command(data: Path | None, cut: str, limit: int | None, only: str, short: bool) -> str:
    told = (" --data DIR" if data else "", f" --cut {cut}", f" --limit {limit}" if limit else "")
    return "".join(("python -m benchmarks.fidelity", *told, f" --only {only}" if only else "", " --short" * short))


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


if __name__ == "__main__":
    typer.run(main)
