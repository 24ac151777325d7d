"""Where photos, or the inputs of networks that take none, come from: files, folders and globs."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from splitnet.errors import UsageError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".avif"})
"""Endings that count as a photo inside a folder; a file named outright is tried whatever its ending."""

ARRAY_SUFFIXES = frozenset({".npy"})
"""The same for networks that take no images."""

Kind = Literal["image", "tensor"]
"""The kind of a bundle's input."""


def suffixes(kind: Kind) -> frozenset[str]:
    """The endings that count inside a folder."""
    return SUFFIXES if kind == "image" else ARRAY_SUFFIXES


def noun(kind: Kind) -> str:
    """What messages call the inputs of such a bundle."""
    return "photos" if kind == "image" else ".npy files"


def photos(sources: Sequence[str], option: str = "--source", kind: Kind = "image") -> Iterator[Path]:
    """Every photo of the sources, each once, folders in sorted order with their subfolders; `option` named them.

    Where `kind` is `tensor`, ``.npy`` files take the place of photos, here and in all of this module.

    Raises
    ------
    UsageError
        if a source does not exist, matches nothing, or is a folder without photos.
    """
    seen: set[Path] = set()
    for path in _expanded(sources, option, kind):
        if path not in seen:
            seen.add(path)
            yield path


def photos_below(folder: Path, kind: Kind = "image") -> list[Path]:
    """What counts as a photo in a folder and its subfolders, sorted. Raises OSError."""
    # `rglob` passes over folders that it may not read.
    list(folder.iterdir())
    wanted = suffixes(kind)
    return sorted(one for one in folder.rglob("*") if one.suffix.lower() in wanted and one.is_file())


def found_none(option: str, folder: Path | str, kind: Kind) -> str:
    """The message for a folder without photos."""
    endings = f" ({', '.join(sorted(SUFFIXES))})" if kind == "image" else ", which the network of this bundle takes"
    return f"{option} {str(folder)!r} holds no {noun(kind)}{endings}"


def spread(found: Sequence[Path], most: int) -> list[Path]:
    """At most `most` (2 or more) of `found`, evenly spread, the first and the last among them."""
    if len(found) <= most:
        return list(found)
    return [found[place * (len(found) - 1) // (most - 1)] for place in range(most)]


def _expanded(sources: Sequence[str], option: str, kind: Kind) -> Iterable[Path]:
    for source in sources:
        path = Path(source)
        try:
            if path.is_dir():
                yield from _some_below(path, source, option, kind)
            elif path.exists():
                yield path
            elif glob.has_magic(source):
                yield from _matches(source, option)
            else:
                raise UsageError(f"{option} {source!r} does not exist; give a file, a folder or a glob")
        except OSError as error:
            raise UsageError(f"{option} {source!r} cannot be read: {error.strerror or error}") from error


def _some_below(folder: Path, source: str, option: str, kind: Kind) -> list[Path]:
    found = photos_below(folder, kind)
    if not found:
        raise UsageError(found_none(option, source, kind))
    return found


def _matches(source: str, option: str) -> list[Path]:
    matches = sorted(Path(one) for one in glob.glob(source, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute patterns
    found = [one for one in matches if one.is_file()]
    if not found:
        raise UsageError(f"{option} {source!r} matches no files; quote the glob or check the path")
    return found
