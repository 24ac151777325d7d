"""Cameras that speak RTSP, over real sockets."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from splitnet.edge.capture.video import VideoStream
from splitnet.edge.config.sources import VideoSource
from splitnet.errors import SourceError
from tests.edge.capture.intake import SECONDS, FakeIntake, running
from tests.edge.capture.rtsp import RtspCamera
from tests.edge.capture.videos import number_of

DEBIAN_PYTHON = Path("/usr/bin/python3")
GSTREAMER = """
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
for name in ("videotestsrc", "jpegenc", "rtpjpegpay"):
    assert Gst.ElementFactory.find(name) is not None, name
server, factory = GstRtspServer.RTSPServer(), GstRtspServer.RTSPMediaFactory()
server.set_address("127.0.0.1")
server.set_service("0")
size = "video/x-raw,format=I420,width=64,height=48,framerate=25/1"
factory.set_launch(f"( videotestsrc is-live=true ! {size} ! jpegenc ! rtpjpegpay name=pay0 )")
server.get_mount_points().add_factory("/door", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""


@pytest.fixture
def gstreamer() -> Iterator[int]:
    """The port of GStreamer's server, in a process of its own."""
    if not DEBIAN_PYTHON.exists():
        pytest.skip("there is no Python of Debian's")
    with subprocess.Popen(
        [DEBIAN_PYTHON, "-c", GSTREAMER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            if not port:
                pytest.skip("needs gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-good and python3-gi of Debian")
            yield int(port)
        finally:
            process.kill()


def _source(port: int, **keys: Any) -> VideoStream:
    url = f"rtsp://user@127.0.0.1:{port}/door"
    return VideoStream("door", VideoSource.model_validate({"kind": "video", "url": url, "sink": "s", **keys}))


async def test_frames_come_over_tcp_until_the_camera_hangs_up() -> None:
    with RtspCamera(20, hang_up=True) as camera:
        intake = FakeIntake()
        with pytest.raises(SourceError, match=rf"rtsp://user@127\.0\.0\.1:{camera.port}/door ended"):
            async with asyncio.timeout(SECONDS):
                await _source(camera.port).run(intake)
    assert [number_of(item.photo) for item in intake.items] == list(range(20))
    assert all("RTP/AVP/TCP" in one for one in camera.transports)


async def test_a_camera_that_falls_silent_is_an_error_after_the_timeout() -> None:
    with RtspCamera(10) as camera:
        intake = FakeIntake()
        with pytest.raises(SourceError, match=r"rtsp://user@127\.0\.0\.1") as caught:
            async with asyncio.timeout(SECONDS):
                await _source(camera.port, timeout=0.5).run(intake)
    assert "0.5 s" in str(caught.value) or "timed out" in str(caught.value)


async def test_a_camera_gets_its_password_and_nobody_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMERA", "hunter:2@")
    with RtspCamera(10, password="hunter:2@") as camera:
        intake = FakeIntake()
        source = _source(camera.port, password={"env": "CAMERA"})
        async with asyncio.timeout(SECONDS), running(source, intake):
            await intake.until(5)


async def test_a_wrong_password_is_said_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMERA", "hunter2")
    with RtspCamera(10, password="another") as camera, pytest.raises(SourceError, match="401") as caught:
        await _source(camera.port, password={"env": "CAMERA"}).run(FakeIntake())
    error: BaseException | None = caught.value
    assert f"rtsp://user@127.0.0.1:{camera.port}/door cannot be opened" in str(error)
    assert "hunter2" not in str(error)
    assert error is not None
    assert error.__cause__ is None
    assert error.__suppress_context__


async def test_a_camera_that_accepts_and_never_answers_is_an_error_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(SourceError, match="cannot be opened"):
        async with asyncio.timeout(SECONDS):
            await _source(silent.getsockname()[1], timeout=0.3).run(FakeIntake())


async def test_nobody_at_the_address_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(SourceError, match="Connection refused"):
        await _source(port).run(FakeIntake())


async def test_a_server_that_others_wrote_is_understood(gstreamer: int) -> None:
    intake = FakeIntake()
    async with running(_source(gstreamer), intake):
        await intake.until(10)
    assert intake.names == [f"frame {number}" for number in range(len(intake.items))]
    assert {getattr(item.photo, "shape", None) for item in intake.items} == {(48, 64, 3)}
