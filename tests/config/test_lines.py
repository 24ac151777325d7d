"""The line of every key of a TOML text."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.config.lines import Path, key_lines, line_of

TEXT = r'''a = 1  # [no] = table
b.c = [1,
  "x] # \" no", # ]
  { q = 2, 'r s' = ["""
two lines"""] }]
s = """
foo = 1
[x]
\""""
l = '''  # what follows the literal string is put in below
LITERAL = "'''\n[y]\nz = 1'''\n"
REST = """[t]
k = { z = 1, "y.y" = [1979-05-27T07:32:00Z, -inf] }
[[u]]
n = 1
[[u]]
n = 2
[u.v]
w = ''
[[u.v.w2]]
[[u.v.w2]]
deep = true
"""


def _paths(value: Any, path: Path = ()) -> Iterator[Path]:
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _paths(inner, (*path, number))


def test_every_key_is_found_where_it_stands() -> None:
    text = TEXT.replace("  # what follows the literal string is put in below\n", "") + LITERAL + REST
    lines = key_lines(text)
    assert set(_paths(tomllib.loads(text))) - {()} == set(lines)
    where = {
        ("a",): "a = 1",
        ("b", "c", 1): '  "x]',
        ("b", "c", 2, "r s"): "  { q",
        ("s",): "s =",
        ("l",): "l =",
        ("t", "k", "y.y", 1): "k =",
        ("u", 1, "n"): "n = 2",
        ("u", 1, "v", "w"): "w =",
        ("u", 1, "v", "w2", 1, "deep"): "deep",
    }
    for path, start in where.items():
        assert text.splitlines()[lines[path] - 1].startswith(start), path


def test_what_is_missing_is_missing_in_its_table() -> None:
    lines = key_lines("a = 1\n\n[tls]\nkey = 'x'\n")
    assert line_of(lines, ("tls", "certificate")) == 3
    assert line_of(lines, ("nowhere", "x")) == 1
    assert line_of({}, ()) == 1


@pytest.mark.parametrize(
    "text", ["= 1", "a = ", "[[", "[", "a = [", "a = {", 'a = """', "a = 'x", "]", "}", "\x00", "a = }"]
)
def test_what_is_no_toml_ends_too(text: str) -> None:
    key_lines(text)


@given(st.text(alphabet="ab.=[]{}\"'#,\n 1\\", max_size=60))
def test_every_text_ends_and_good_ones_are_covered(text: str) -> None:
    lines = key_lines(text)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(_paths(values)) - {()} <= set(lines)
