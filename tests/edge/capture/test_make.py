"""From tables to sources."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from splitnet.edge.capture.make import make_source
from splitnet.edge.config.sources import AnySource
from splitnet.errors import UsageError


def _section(**keys: object) -> AnySource:
    found: AnySource = TypeAdapter(AnySource).validate_python({"sink": "s", **keys})
    return found


@pytest.mark.parametrize(
    ("keys", "made"),
    [
        ({"kind": "folder", "path": Path("x")}, "WatchedFolder"),
        ({"kind": "stdin"}, "PathLines"),
        ({"kind": "http", "listen": "127.0.0.1:0"}, "HttpEndpoint"),
    ],
)
def test_each_kind_has_its_source(keys: dict[str, object], made: str) -> None:
    assert type(make_source("door", _section(**keys))).__name__ == made


def test_a_video_is_for_networks_that_take_images() -> None:
    section = _section(kind="video", url="/dev/video0")
    with pytest.raises(UsageError, match=r"sources\.door"):
        make_source("door", section, "tensor")
    pytest.importorskip("av")
    assert type(make_source("door", section)).__name__ == "VideoStream"


def test_nothing_is_imported_that_the_source_does_without() -> None:
    program = """
import sys
from splitnet.edge.capture.make import make_source
from splitnet.edge.config.sources import StdinSource
make_source("list", StdinSource(kind="stdin", sink="s"))
print([name for name in ("av", "watchdog", "starlette", "uvicorn", "torch") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
