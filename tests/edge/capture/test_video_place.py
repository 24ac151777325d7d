"""What FFmpeg is told about a video's place, and what people are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from splitnet.edge.capture.video_place import Place, place_of
from splitnet.edge.config.sources import VideoSource
from splitnet.errors import ConfigError, UsageError


def _place(url: str, **keys: Any) -> Place:
    return place_of("door", VideoSource.model_validate({"kind": "video", "url": url, "sink": "s", **keys}))


def test_a_password_goes_into_the_url_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMERA", "p@ss:/word")
    place = _place("rtsp://user@camera:554/stream?a=1", password={"env": "CAMERA"})
    assert place.url == "rtsp://user:p%40ss%3A%2Fword@camera:554/stream?a=1"
    assert place.shown == "rtsp://user@camera:554/stream?a=1"
    assert "p%40" not in repr(place)


def test_a_password_needs_no_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMERA", "secret")
    assert _place("http://[::1]:80/a", password={"env": "CAMERA"}).url == "http://:secret@[::1]:80/a"


def test_rtsp_runs_over_tcp_with_a_timeout_unless_told_otherwise() -> None:
    assert _place("rtsp://camera/a", timeout=2.5).options == {"rtsp_transport": "tcp", "timeout": "2500000"}
    given = _place("RTSP://camera/a", options={"rtsp_transport": "udp", "x": "1"}, timeout=1.0)
    assert given.options == {"rtsp_transport": "udp", "timeout": "1000000", "x": "1"}
    assert _place("http://camera/a").options == {}


def test_cameras_of_the_system_are_v4l2() -> None:
    assert _place("/dev/video0").format == "v4l2"
    assert _place("/dev/video0", format="mjpeg").format == "mjpeg"
    assert _place("/dev/video0.mp4").format is None
    assert _place("/dev/video0").file is None


def test_a_file_is_absolute_so_that_no_colon_is_a_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "concat:a.mp4").write_bytes(b"")
    place = _place("concat:a.mp4")
    assert place.file == tmp_path / "concat:a.mp4"
    assert place.url == str(place.file)


def test_a_device_of_ffmpegs_own_keeps_its_name() -> None:
    assert _place("testsrc=size=64x48", format="lavfi").url == "testsrc=size=64x48"


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError, match=r"sources\.door\.url holds a password") as caught:
        _place("rtsp://user:hunter2@camera/a")
    assert "hunter2" not in str(caught.value)


def test_a_password_for_a_path_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMERA", "secret")
    with pytest.raises(UsageError, match=r"sources\.door\.password"):
        _place("/dev/video0", password={"env": "CAMERA"})


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match=r"sources\.door\.url is no URL"):
        _place("rtsp://[camera/a")


def test_a_password_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAMERA", raising=False)
    with pytest.raises(ConfigError, match=r"sources\.door\.password: the environment variable CAMERA"):
        _place("rtsp://user@camera/a", password={"env": "CAMERA"})
