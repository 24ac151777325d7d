"""TOML files that people write: read, checked against a schema, every error with its key and line."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from splitnet.config.lines import Path as KeyPath
from splitnet.config.lines import key_lines, line_of
from splitnet.errors import ConfigError

M = TypeVar("M", bound=BaseModel)
_SECRET = ("token", "sha256")
_LONGEST = 80


@dataclass(frozen=True)
class Document:
    """A TOML file's text and what it says; `path` is for messages, and what relative paths in it start from."""

    path: Path
    text: str
    values: dict[str, Any]

    @cached_property
    def lines(self) -> dict[KeyPath, int]:
        """Where each key stands."""
        return key_lines(self.text)

    def at(self, key: KeyPath, problem: str) -> str:
        """A message that names file, line and key."""
        return f"{self.path}: {self._place(key)}: {problem}"

    def validate(self, schema: type[M]) -> M:
        """What the file says, typed. Raises ConfigError, with every problem found."""
        try:
            return schema.model_validate(self.values, context={"folder": self.path.parent})
        except ValidationError as error:
            guide = getattr(schema, "guide", "docs/configuration.md")
            found = error.errors(include_url=False)
            problems = [f"{self._place(self._key(one))}: {_problem(one, guide)}" for one in found]
            raise ConfigError(f"{self.path}: {'; '.join(problems)}") from error

    def _key(self, error: Any) -> KeyPath:
        """Where an error is, without what is no key: where a table has several kinds, pydantic names the kind too."""
        tables = {path[:length] for path in self.lines for length in range(1, len(path) + 1)}
        location: KeyPath = error["loc"]
        key: KeyPath = ()
        for part in location[:-1] if error["type"] == "missing" else location:
            if (*key, part) in tables:
                key = (*key, part)
        return (*key, location[-1]) if error["type"] == "missing" else key

    def _place(self, key: KeyPath) -> str:
        return f"line {line_of(self.lines, key)}, {'.'.join(str(part) for part in key) or 'the file'}"


def read_toml(path: Path) -> Document:
    """Raises ConfigError where the file cannot be read or is no TOML."""
    try:
        text = path.read_text(encoding="utf-8")
        return Document(path, text, tomllib.loads(text))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}: line {line}: not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {_syntax(str(error), text)}") from error


def _syntax(message: str, text: str) -> str:
    """`Invalid value (at line 3, column 5)`, with the line in front as everywhere."""
    what, _, where = message.partition(" (at ")
    line = where.removeprefix("line ").split(",")[0]
    return f"line {line if line.isdigit() else text.count(chr(10)) + 1}: {what[0].lower()}{what[1:]}"


def _problem(error: Any, guide: str) -> str:
    kind, given = error["type"], error["input"]
    if kind == "extra_forbidden":
        return f"no such key; see {guide}"
    if kind == "missing":
        return "is missing"
    said = str(error["msg"]).removeprefix("Value error, ")
    text = said[0].lower() + said[1:]
    if isinstance(given, str | int | float) and error["loc"][-1] not in _SECRET:
        shown = repr(given)
        text += f" (given: {shown if len(shown) <= _LONGEST else shown[:_LONGEST] + '...'})"
    return text
