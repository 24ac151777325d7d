"""Frames of files and cameras."""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
import pytest
from structlog.testing import capture_logs

from splitnet.edge.capture.make import make_source
from splitnet.edge.capture.video import VideoStream
from splitnet.edge.config.sources import VideoSource
from splitnet.errors import SourceError, UsageError
from tests.edge.capture.intake import SECONDS, FakeIntake, eventually, running
from tests.edge.capture.videos import Camera, Frame, Packet, number_of, write_video


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "video.mp4", 10)


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Lets a camera go that hangs."""
    event = threading.Event()
    yield event
    event.set()


def _section(url: Path | str, **keys: Any) -> VideoSource:
    return VideoSource.model_validate({"kind": "video", "url": str(url), "sink": "s", "drop": "all", **keys})


def _camera(camera: Camera, url: str = "/dev/video7", **keys: Any) -> VideoStream:
    return VideoStream("door", _section(url, **keys), camera.open)


async def _play(source: VideoStream, intake: FakeIntake | None = None) -> FakeIntake:
    intake = intake or FakeIntake()
    async with asyncio.timeout(SECONDS):
        await source.run(intake)
    return intake


def _endless() -> Iterator[Packet]:
    return (Packet(Frame(number)) for number in itertools.count())


async def test_every_frame_of_a_file_is_offered_in_order(video: Path) -> None:
    intake = await _play(VideoStream("door", _section(video)))
    assert intake.names == [f"frame {number}" for number in range(10)]
    for number, item in enumerate(intake.items):
        frame = item.photo
        assert isinstance(frame, np.ndarray)
        assert frame.dtype == np.uint8
        assert frame.shape == (48, 64, 3)
        assert number_of(frame) == number


async def test_a_restart_goes_on_where_it_was_and_converts_nothing_twice(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await _play(VideoStream("door", _section(video)))
    known = FakeIntake(known=[item.id for item in first.items[:7]])
    converted: list[int] = []
    monkeypatch.setattr(VideoStream, "_item", _counting(VideoStream._item, converted))
    await _play(VideoStream("door", _section(video)), known)
    assert known.names == ["frame 7", "frame 8", "frame 9"]
    assert len(converted) == 3


def _counting(function: Any, calls: list[int]) -> Any:
    def counted(*arguments: Any) -> Any:
        calls.append(1)
        return function(*arguments)

    return counted


async def test_another_file_of_the_same_name_is_another_video(video: Path) -> None:
    first = await _play(VideoStream("door", _section(video)))
    write_video(video, 5)
    second = await _play(VideoStream("door", _section(video)), FakeIntake(known=[one.id for one in first.items]))
    assert len(second.items) == 5


async def test_numbers_count_on_through_loops(video: Path) -> None:
    intake = FakeIntake()
    async with running(VideoStream("door", _section(video, loop=True)), intake):
        await intake.until(25)
    assert intake.names[:25] == [f"frame {number}" for number in range(25)]
    assert len({item.id for item in intake.items}) == len(intake.items)


async def test_a_rate_thins_a_file_by_its_own_clock(video: Path) -> None:
    intake = await _play(VideoStream("door", _section(video, rate=5.0)))
    assert intake.names == [f"frame {number}" for number in range(0, 10, 2)]


async def test_a_rate_holds_across_loops(video: Path) -> None:
    intake = FakeIntake()
    async with running(VideoStream("door", _section(video, rate=2.5, loop=True)), intake):
        await intake.until(6)
    assert intake.names[:6] == [f"frame {number}" for number in range(0, 24, 4)]


async def test_where_the_newest_counts_a_file_plays_at_its_own_speed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "video.mkv", 5, rate=20, codec="ffv1")
    began = time.monotonic()
    intake = await _play(VideoStream("door", _section(path, drop="latest")))
    assert len(intake.items) == 5
    assert time.monotonic() - began >= 4 / 20 - 0.001
    assert len({item.id for item in intake.items}) == 5


async def test_a_file_that_plays_slowly_ends_at_once_when_it_is_cancelled(tmp_path: Path) -> None:
    path = write_video(tmp_path / "slow.mp4", 3, rate=1)
    source, intake = VideoStream("door", _section(path, drop="latest", timeout=600)), FakeIntake()
    async with asyncio.timeout(SECONDS), running(source, intake):
        await intake.until(1)
    assert len(intake.items) < 3


async def test_corrupt_frames_are_skipped_and_said_once(tmp_path: Path) -> None:
    path = write_video(tmp_path / "video.avi", 12)
    data = bytearray(path.read_bytes())
    starts = [at for at in range(len(data)) if data.startswith(b"\x00\x00\x01\xb6", at)]
    assert len(starts) == 12
    for start in (starts[3], starts[7]):
        data[start : start + 4] = bytes(4)
    path.write_bytes(data)
    with capture_logs() as lines:
        intake = await _play(VideoStream("door", _section(path)))
    found = [number_of(item.photo) for item in intake.items]
    assert found == [number for number in range(12) if number not in (3, 7)]
    (line,) = [one for one in lines if one["log_level"] == "warning"]
    assert line["source"] == "door"


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "does not exist"), (b"", "cannot be opened"), (b"no video" * 100, "cannot be opened")],
)
async def test_files_that_are_no_video_are_said_in_one_line(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "a:b.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        await _play(VideoStream("door", _section(path, loop=True)))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_file_without_video_is_said(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(SourceError, match="has no video"):
        await _play(VideoStream("door", _section(path)))


async def test_frames_too_large_to_be_decoded_safely_end_the_source() -> None:
    frame = Frame(0)
    frame.width = frame.height = 10_000
    with pytest.raises(SourceError, match="10000x10000"):
        await _play(_camera(Camera(lambda: iter([Packet(frame)]))))


async def test_while_there_is_no_room_one_frame_waits_and_no_more(video: Path) -> None:
    converted: list[Frame] = []

    def packets() -> Iterator[Packet]:
        for number in itertools.count():
            converted.append(Frame(number))
            yield Packet(converted[-1])

    camera, intake = Camera(packets), FakeIntake()
    intake.room.clear()
    async with asyncio.timeout(SECONDS), running(_camera(camera), intake):
        await intake.waiting.wait()
        assert len(converted) == 1
    assert camera.closed == 1
    assert intake.items == []


async def test_a_camera_is_opened_as_v4l2_in_a_thread_of_its_own_and_closed() -> None:
    camera, intake = Camera(_endless), FakeIntake()
    async with running(_camera(camera, options={"video_size": "640x480"}, timeout=3.0), intake):
        await intake.until(3)
    ((url, options),) = camera.calls
    assert url == "/dev/video7"
    assert options == {"format": "v4l2", "options": {"video_size": "640x480"}, "timeout": (3.0, 3.0)}
    assert (camera.opened, camera.closed) == (1, 1)
    assert threading.main_thread().name not in camera.threads
    assert len({item.id for item in intake.items}) == len(intake.items)


async def test_another_format_may_be_asked_for() -> None:
    camera = Camera(_endless)
    intake = FakeIntake()
    async with running(_camera(camera, format="video4linux2"), intake):
        await intake.until(1)
    assert camera.calls[0][1]["format"] == "video4linux2"


async def test_frames_of_a_camera_that_come_too_soon_are_not_converted() -> None:
    frames = [Frame(number) for number in range(50)]

    def packets() -> Iterator[Packet]:
        yield from (Packet(frame) for frame in frames)

    intake = FakeIntake()
    with pytest.raises(SourceError, match="ended"):
        await _play(_camera(Camera(packets), rate=0.01), intake)
    assert intake.names == ["frame 0"]
    assert [frame.converted for frame in frames] == [1, *[0] * 49]


async def test_a_camera_that_cannot_be_opened_is_said() -> None:
    def fail(*_: object, **__: object) -> None:
        raise av.error.PermissionError(13, "Permission denied", "/dev/video7")

    with pytest.raises(SourceError, match=r"^/dev/video7 cannot be opened: Permission denied$"):
        await _play(VideoStream("door", _section("/dev/video7"), fail))


async def test_a_camera_that_is_not_there_is_said_by_the_real_library() -> None:
    with pytest.raises(SourceError, match="/dev/video4242"):
        await _play(VideoStream("door", _section("/dev/video4242")))


async def test_a_camera_that_ends_is_an_error_and_may_be_opened_again() -> None:
    camera = Camera(lambda: iter([Packet(Frame(0)), Packet(Frame(1))]))
    source, intake = _camera(camera), FakeIntake()
    for count in (2, 4):
        with pytest.raises(SourceError, match="/dev/video7 ended"):
            await _play(source, intake)
        assert len(intake.items) == count
    assert (camera.opened, camera.closed) == (2, 2)


async def test_a_camera_that_fails_while_it_is_read_is_an_error() -> None:
    def packets() -> Iterator[Packet]:
        yield Packet(Frame(0))
        raise av.error.OSError(5, "Input/output error", "/dev/video7")

    camera = Camera(packets)
    with pytest.raises(SourceError, match="/dev/video7 cannot be read any more: Input/output error"):
        await _play(_camera(camera))
    assert camera.closed == 1


async def test_a_stream_may_begin_with_frames_that_cannot_be_decoded() -> None:
    broken = av.error.InvalidDataError(1094995529, "Invalid data")
    camera = Camera(lambda: iter([Packet(error=broken), Packet(Frame(0))]))
    intake = FakeIntake()
    with pytest.raises(SourceError, match="ended"):
        await _play(_camera(camera), intake)
    assert intake.names == ["frame 0"]


async def test_a_stream_of_nothing_but_broken_frames_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splitnet.edge.capture.frames.GRACE", 0.0)
    broken = av.error.InvalidDataError(1094995529, "Invalid data")

    def packets() -> Iterator[Packet]:
        while True:
            time.sleep(0.001)
            yield Packet(error=broken)

    camera = Camera(packets)
    with pytest.raises(SourceError, match=r"is silent for more than 0\.05 s"):
        await _play(_camera(camera, timeout=0.05))
    await eventually(lambda: camera.closed == 1)


async def test_a_camera_that_hangs_is_an_error_and_is_not_opened_again_while_it_does(
    monkeypatch: pytest.MonkeyPatch, release: threading.Event
) -> None:
    monkeypatch.setattr("splitnet.edge.capture.frames.GRACE", 0.0)

    def packets() -> Iterator[Packet]:
        yield Packet(Frame(0))
        release.wait()

    camera = Camera(packets)
    source, intake = _camera(camera, timeout=0.05), FakeIntake()
    with pytest.raises(SourceError, match="is silent for more than"):
        await _play(source, intake)
    with pytest.raises(SourceError, match="is stuck"):
        await _play(source, intake)
    assert (len(intake.items), camera.opened) == (1, 1)
    release.set()
    async with asyncio.timeout(SECONDS):
        while camera.opened == 1:
            with pytest.raises(SourceError, match=r"is stuck|ended"):
                await source.run(intake)
    assert camera.closed == 2


async def test_an_opening_that_hangs_is_an_error(monkeypatch: pytest.MonkeyPatch, release: threading.Event) -> None:
    monkeypatch.setattr("splitnet.edge.capture.frames.GRACE", 0.0)

    def hang(*_: object, **__: object) -> None:
        release.wait()
        raise av.error.ExitError(1414092869, "Immediate exit requested")

    with pytest.raises(SourceError, match="is silent"):
        await _play(VideoStream("door", _section("/dev/video7", timeout=0.05), hang))


async def test_what_the_daemon_does_wrong_is_not_taken_for_the_cameras_fault() -> None:
    class Broken(FakeIntake):
        async def offer(self, item: Any) -> None:
            raise ZeroDivisionError

    camera = Camera(_endless)
    with pytest.raises(ZeroDivisionError):
        await _play(_camera(camera), Broken())
    assert camera.closed == 1


def test_without_pyav_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UsageError, match=r"pip install 'splitnet\[video\]'"):
        make_source("door", _section("/dev/video0"))
