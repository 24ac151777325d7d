"""Kinds of tasks by name: the built-in ones, then those of installed packages (entry points)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import ValidationError

from splitnet.errors import ModelError
from splitnet.tasks.basic import ClassificationKind, EmbeddingKind, TensorKind
from splitnet.tasks.contract import Kind, Setting
from splitnet.tasks.detection import DetectionKind
from splitnet.tasks.results import FloatArray, Result
from splitnet.tasks.score import ScoreKind

ENTRY_POINTS = "splitnet.tasks"

KINDS: dict[str, type[Kind]] = {
    "classification": ClassificationKind,
    "embedding": EmbeddingKind,
    "tensor": TensorKind,
    "score": ScoreKind,
    "detection": DetectionKind,
}
"""The built-in kinds. An installed package cannot change what they mean."""


@lru_cache(maxsize=1)
def _installed() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS) if point.name not in KINDS}


def kind_names() -> tuple[str, ...]:
    """Names of all kinds, built in or installed."""
    return (*KINDS, *sorted(_installed()))


def make_kind(name: str, parameters: Mapping[str, Any] | None = None) -> Kind:
    """The kind `name` with a task's parameters.

    Raises
    ------
    ModelError
        if there is no such kind, listing those there are; if a package's kind does not import or is none; if a
        parameter is unknown or out of range.
    """
    try:
        return _class(name).model_validate(dict(parameters or {}), strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ModelError(f"kind {name}: {where + ': ' if where else ''}{first['msg'][:300]}") from error


def post_process(
    kind: str,
    output: FloatArray,
    labels: Sequence[str] = (),
    top_k: int = 0,
    parameters: Mapping[str, Any] | None = None,
) -> Result:
    """Turn a head's output for one input, without batch dimension, into a result. Raises ModelError as `make_kind`."""
    return make_kind(kind, parameters).result(output, Setting(labels), top_k)


def _class(name: str) -> type[Kind]:
    if name in KINDS:
        return KINDS[name]
    point = _installed().get(name)
    if point is None:
        raise ModelError(f"unknown kind of task {name!r}; known: {', '.join(kind_names())}")
    try:
        loaded = point.load()
    except Exception as error:  # foreign code may raise anything at import
        raise ModelError(f"kind of task {name!r} ({point.value}) does not import: {error}") from error
    if not (isinstance(loaded, type) and issubclass(loaded, Kind)):
        raise ModelError(f"entry point {name!r} of {ENTRY_POINTS} must name a subclass of splitnet.tasks.Kind")
    return loaded
