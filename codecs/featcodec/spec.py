"""Codec specs: `affine:bits=8|zstd:level=3` as text and as objects."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from featcodec.array_coders.raw import Raw
from featcodec.contract import ArrayCoder, ByteCoder, Quantiser, Stage, rule_of
from featcodec.errors import SpecError
from featcodec.registry import did_you_mean, list_stages, stage_class

MAX_TEXT = 255  # a frame stores the length in one byte
_StageT = TypeVar("_StageT", bound=Stage)


@dataclass(frozen=True, repr=False)
class Spec:
    """A codec: one quantiser, one array coder, at most one byte coder.

    `str(spec)` is canonical: parameters that differ from their defaults, in declared order; `raw` is left
    out before a byte coder. Specs compare and hash by their stages. Raises SpecError when stages do not fit.
    """

    quantiser: Quantiser
    coder: ArrayCoder = field(default_factory=Raw)
    byte_coder: ByteCoder | None = None
    _text: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        parts = [str(self.quantiser)]
        if self.byte_coder is None or self.coder != Raw():
            parts.append(str(self.coder))
        if self.byte_coder is not None:
            parts.append(str(self.byte_coder))
            if self.coder.coded_size(1, np.dtype(np.uint8)) is None:
                raise SpecError(
                    f"no byte coder may follow {self.coder.name!r}: its size depends on the data, so "
                    f"the header could not tell a decoder how much {self.byte_coder.name!r} unpacks to"
                )
        text = "|".join(parts)
        if len(text) > MAX_TEXT or not text.isascii():
            raise SpecError(f"a spec is ASCII of at most {MAX_TEXT} characters: {text!r}")
        object.__setattr__(self, "_text", text)

    @classmethod
    def parse(cls, text: str) -> Spec:
        """Parse a spec string. Raises SpecError."""
        return parse_spec(text)

    @property
    def lossless(self) -> bool:
        """Whether decoding returns the input's bytes (coders always are lossless)."""
        return self.quantiser.lossless

    @property
    def uses_profile(self) -> bool:
        """Whether a stage reads a calibrated profile when there is one."""
        return self.quantiser.profile_use != "none" or self.coder.profile_use != "none"

    @property
    def needs_profile(self) -> bool:
        """Whether a stage cannot work without a calibrated profile."""
        return "required" in (self.quantiser.profile_use, self.coder.profile_use)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Spec.parse({self._text!r})"


@lru_cache(maxsize=512)
def parse_spec(text: str) -> Spec:
    """Parse `quantiser[|array coder][|byte coder]`, each `name[:key=value,...]`; results are cached.

    Raises SpecError, saying what exists, for an unknown stage or parameter, a value out of range or stages
    in another order.
    """
    if not isinstance(text, str):
        raise SpecError(f"a spec is a string such as 'affine|zstd', not {type(text).__name__}")
    if len(text) > MAX_TEXT or not text.isascii() or not text.isprintable():
        raise SpecError(f"a spec is printable ASCII of at most {MAX_TEXT} characters")
    stages = [_parse_stage(part.strip()) for part in text.split("|")]
    quantiser = _take(stages, Quantiser)
    if quantiser is None:
        raise SpecError(f"{text!r} does not begin with a quantiser; {_listing('quantiser')}")
    coder = _take(stages, ArrayCoder) or Raw()
    byte_coder = _take(stages, ByteCoder)
    if stages:
        raise SpecError(_misplaced(text, stages[0], byte_coder))
    return Spec(quantiser, coder, byte_coder)


def _take(stages: list[Stage], kind: type[_StageT]) -> _StageT | None:
    if stages and isinstance(stages[0], kind):
        first = stages.pop(0)
        assert isinstance(first, kind)
        return first
    return None


def _misplaced(text: str, stage: Stage, byte_coder: ByteCoder | None) -> str:
    if isinstance(stage, ByteCoder) and byte_coder is not None:
        return (
            f"{text!r} has a second byte coder, {stage.name!r}: at most one is allowed, because the sizes "
            "between two cannot be derived from a frame's header"
        )
    return (
        f"{text!r}: the {stage.kind} {stage.name!r} stands in the wrong place; "
        "the order is quantiser|array coder|byte coder, one of each"
    )


def _listing(kind: str) -> str:
    return f"there are: {', '.join(info.name for info in list_stages() if info.kind == kind)}"


def _parse_stage(part: str) -> Stage:
    name, colon, rest = part.partition(":")
    name = name.strip()
    if not name:
        raise SpecError("a spec has an empty part; write for example 'affine|zstd'")
    cls = stage_class(name)
    if not colon:
        return cls()
    rules = {f.name: rule_of(f) for f in fields(cls)}
    given: dict[str, Any] = {}
    for item in rest.split(","):
        key, equals, value = (piece.strip() for piece in item.partition("="))
        if not equals or not value:
            raise SpecError(f"{name}: {item.strip()!r} is not of the form parameter=value")
        if key not in rules:
            raise SpecError(_unknown_parameter(name, key, tuple(rules)))
        if key in given:
            raise SpecError(f"{name}: parameter {key!r} is given twice")
        given[key] = rules[key].parse(value)
    return cls(**given)


def _unknown_parameter(stage: str, key: str, known: tuple[str, ...]) -> str:
    if not known:
        return f"{stage} has no parameters, so {key!r} is unknown"
    return f"{stage} has no parameter {key!r}{did_you_mean(key, known)} (there are: {', '.join(known)})"
