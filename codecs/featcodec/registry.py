"""Stages by name: the built-in ones, then those of installed packages (entry points)."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from featcodec.contract import Kind, Quantiser, Stage, rule_of
from featcodec.errors import SpecError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "featcodec.stages"

# Modules are named, not imported: a stage costs nothing until a spec uses it.
BUILTIN: dict[str, str] = {
    "none": "featcodec.quantisers.none:NoneQuantiser",
    "float16": "featcodec.quantisers.float16:Float16",
    "bfloat16": "featcodec.quantisers.bfloat16:BFloat16",
    "affine": "featcodec.quantisers.affine:Affine",
    "clip": "featcodec.quantisers.clip:Clip",
    "transform": "featcodec.quantisers.transform:Transform",
    "raw": "featcodec.array_coders.raw:Raw",
    "shuffle": "featcodec.array_coders.shuffle:Shuffle",
    "ctx": "featcodec.array_coders.ctx:Ctx",
    "rans": "featcodec.array_coders.rans:Rans",
    "floats": "featcodec.array_coders.floats:Floats",
    "zlib": "featcodec.byte_coders.zlib:Zlib",
    "gzip": "featcodec.byte_coders.gzip:Gzip",
    "bz2": "featcodec.byte_coders.bz2:Bz2",
    "lzma": "featcodec.byte_coders.lzma:Lzma",
    "zstd": "featcodec.byte_coders.zstd:Zstd",
    "lz4": "featcodec.byte_coders.lz4:Lz4",
    "brotli": "featcodec.byte_coders.brotli:Brotli",
}


@dataclass(frozen=True)
class ParameterInfo:
    """One parameter of a stage, for people."""

    name: str
    default: object
    range: str
    doc: str


@dataclass(frozen=True)
class StageInfo:
    """One stage, for people."""

    name: str
    kind: Kind
    doc: str
    parameters: tuple[ParameterInfo, ...]
    lossless: bool
    library: str | None


@lru_cache(maxsize=1)
def _installed() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # costs more than the rest of featcodec's import

    # Built-in names win: an installed package must not change what existing frames mean.
    found = entry_points(group=ENTRY_POINTS)
    return {point.name: point for point in found if point.name not in BUILTIN}


def stage_names() -> tuple[str, ...]:
    """Names of all stages, built in or installed, sorted within their origin."""
    return (*BUILTIN, *sorted(_installed()))


@lru_cache(maxsize=256)
def stage_class(name: str) -> type[Stage]:
    """The class of a stage. Raises SpecError, listing what exists, for an unknown or broken one."""
    if target := BUILTIN.get(name):
        module, _, attribute = target.partition(":")
        loaded: Any = getattr(importlib.import_module(module), attribute)
    elif point := _installed().get(name):
        loaded = _load(point)
    else:
        raise SpecError(_unknown(name))
    if not (isinstance(loaded, type) and issubclass(loaded, Stage) and loaded.name == name):
        raise SpecError(f"entry point {name!r} must name a featcodec stage class whose name is {name!r}")
    return loaded


def _load(point: EntryPoint) -> object:
    try:
        return point.load()
    except Exception as error:  # foreign code may raise anything at import
        raise SpecError(f"stage {point.name!r} ({point.value}) does not import: {error}") from error


def _unknown(name: str) -> str:
    names = stage_names()
    return f"unknown stage {name!r}{did_you_mean(name, names)} (there are: {', '.join(names)})"


def did_you_mean(word: str, known: tuple[str, ...]) -> str:
    """A hint that names the closest known word, or nothing."""
    import difflib

    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def list_stages() -> tuple[StageInfo, ...]:
    """Describe every stage, built-in ones first. Raises SpecError when an installed one does not import."""
    return tuple(_describe(stage_class(name)) for name in stage_names())


def _describe(cls: type[Stage]) -> StageInfo:
    rules = [(f, rule_of(f)) for f in fields(cls)]
    return StageInfo(
        name=cls.name,
        kind=cls.kind,
        doc=(cls.__doc__ or "").strip().partition("\n")[0],
        parameters=tuple(ParameterInfo(f.name, f.default, rule.range, rule.doc) for f, rule in rules),
        lossless=cls.lossless if issubclass(cls, Quantiser) else True,
        library=cls.library,
    )
