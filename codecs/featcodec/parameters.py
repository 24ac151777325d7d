"""Stage parameters: how each is declared, parsed from a spec, checked and printed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

from featcodec.errors import SpecError

RULE = "rule"  # the key of a parameter's rule in its dataclass field's metadata
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,32}(\.[0-9]{0,32})?([eE][+-]?[0-9]{1,3})?")


@dataclass(frozen=True)
class Integer:
    """A whole number from `low` to `high`, both included."""

    low: int
    high: int
    doc: str

    @property
    def range(self) -> str:
        return f"a whole number from {self.low} to {self.high}"

    def parse(self, text: str) -> object:
        return int(text) if _INTEGER.fullmatch(text) else text

    def accepts(self, value: object) -> bool:
        return type(value) is int and self.low <= value <= self.high


@dataclass(frozen=True)
class Number:
    """A finite real number from `low` to `high`, both included."""

    low: float
    high: float
    doc: str

    @property
    def range(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}"

    def parse(self, text: str) -> object:
        return float(text) if _NUMBER.fullmatch(text) else text

    def accepts(self, value: object) -> bool:
        return type(value) is float and math.isfinite(value) and self.low <= value <= self.high


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    options: tuple[str, ...]
    doc: str

    @property
    def range(self) -> str:
        return "one of " + ", ".join(self.options)

    def parse(self, text: str) -> object:
        return text

    def accepts(self, value: object) -> bool:
        return value in self.options


Rule = Integer | Number | Choice


def integer(default: int, low: int, high: int, doc: str) -> Any:
    """Declare an integer parameter of a stage. The default is frozen: frames omit it."""
    return field(default=default, metadata={RULE: Integer(low, high, doc)})


def number(default: float, low: float, high: float, doc: str) -> Any:
    """Declare a real parameter of a stage. The default is frozen: frames omit it."""
    return field(default=float(default), metadata={RULE: Number(low, high, doc)})


def choice(default: str, options: tuple[str, ...], doc: str) -> Any:
    """Declare a parameter that is one of a few words. The default is frozen: frames omit it."""
    return field(default=default, metadata={RULE: Choice(options, doc)})


def check(stage: str, name: str, rule: Rule, value: object) -> None:
    """Raise SpecError unless `value` fits the rule."""
    if not rule.accepts(value):
        raise SpecError(f"{stage}: {name}={value} is not {rule.range}")


def show(value: object) -> str:
    """A parameter's value as a spec writes it: the shortest text that parses to the same value."""
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
