"""Where photos come from: files, folders and globs."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from splitnet.errors import UsageError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".avif"})
"""Endings that count as a photo inside a folder; a file named outright is tried whatever its ending."""


def photos(sources: Sequence[str]) -> Iterator[Path]:
    """Every photo of the sources, each once, folders in sorted order with their subfolders.

    Raises
    ------
    UsageError
        if a source does not exist, matches nothing, or is a folder without photos.
    """
    seen: set[Path] = set()
    for path in _expanded(sources):
        if path not in seen:
            seen.add(path)
            yield path


def _expanded(sources: Sequence[str]) -> Iterable[Path]:
    for source in sources:
        path = Path(source)
        try:
            if path.is_dir():
                yield from _photos_below(path, source)
            elif path.exists():
                yield path
            elif glob.has_magic(source):
                yield from _matches(source)
            else:
                raise UsageError(f"--source {source!r} does not exist; give a file, a folder or a glob")
        except OSError as error:
            raise UsageError(f"--source {source!r} cannot be read: {error.strerror or error}") from error


def _photos_below(folder: Path, source: str) -> list[Path]:
    # `rglob` passes over folders that it may not read.
    list(folder.iterdir())
    found = sorted(one for one in folder.rglob("*") if one.suffix.lower() in SUFFIXES and one.is_file())
    if not found:
        raise UsageError(f"--source {source!r} holds no photos ({', '.join(sorted(SUFFIXES))})")
    return found


def _matches(source: str) -> list[Path]:
    matches = sorted(Path(one) for one in glob.glob(source, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute patterns
    found = [one for one in matches if one.is_file()]
    if not found:
        raise UsageError(f"--source {source!r} matches no files; quote the glob or check the path")
    return found
