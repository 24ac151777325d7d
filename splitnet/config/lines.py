"""Where in a TOML text each key stands; for error messages, as the standard library's parser does not say."""

from __future__ import annotations

import re

Path = tuple[str | int, ...]
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"""[ \t]*("(?:\\.|[^"\\])*"|'[^']*'|[A-Za-z0-9_-]+)[ \t]*""")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")'
    r"|'''.*?'{3,5}(?!')"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]*")


def key_lines(text: str) -> dict[Path, int]:
    """Path of each key, table and array element -> its line, from 1. `text` has to be TOML that parses."""
    return _Finder(text).find()


def line_of(lines: dict[Path, int], path: Path) -> int:
    """The line of a key; where it is missing, that of the table it should be in; 1 for the top level."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 1


class _Finder:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._counted, self._line = 0, 1
        self._lines: dict[Path, int] = {}
        self._tables: dict[Path, int] = {}

    def find(self) -> dict[Path, int]:
        table: Path = ()
        self._skip()
        while self._at < len(self._text):
            if self._next("[["):
                table = self._name()
                number = self._tables[table] = self._tables.get(table, -1) + 1
                self._mark(table)
                table = (*table, number)
                self._mark(table)
                self._next("]]")
            elif self._next("["):
                table = self._name()
                self._mark(table)
                self._next("]")
            else:
                self._pair(table)
            self._skip()
        return self._lines

    def _name(self) -> Path:
        """A table's name; each array of tables in it stands for its last element, but for the name's own end."""
        path: Path = ()
        for part in self._parts():
            if path in self._tables:
                path = (*path, self._tables[path])
            path = (*path, part)
        return path

    def _parts(self) -> list[str]:
        parts = []
        while (found := _KEY.match(self._text, self._at)) is not None:
            self._at = found.end()
            parts.append(found[1].strip("\"'"))
            if not self._next("."):
                break
        return parts

    def _pair(self, table: Path) -> None:
        path = table
        for part in self._parts():
            path = (*path, part)
            self._mark(path)
        self._next("=")
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip()
        self._mark(path)
        if self._next("["):
            self._items(path, "]")
        elif self._next("{"):
            self._items(path, "}")
        else:
            found = _STRING.match(self._text, self._at) or _SCALAR.match(self._text, self._at)
            assert found is not None
            # What does not parse is the parser's to report; here the search only has to end.
            self._at = max(found.end(), self._at + 1)

    def _items(self, path: Path, end: str) -> None:
        number = 0
        self._skip()
        while self._at < len(self._text) and not self._next(end):
            if end == "]":
                self._value((*path, number))
            else:
                self._pair(path)
            number += 1
            self._skip()
            self._next(",")
            self._skip()

    def _next(self, what: str) -> bool:
        if self._text.startswith(what, self._at):
            self._at += len(what)
            return True
        return False

    def _skip(self) -> None:
        found = _BLANK.match(self._text, self._at)
        assert found is not None
        self._at = found.end()

    def _mark(self, path: Path) -> None:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        self._lines.setdefault(path, self._line)
