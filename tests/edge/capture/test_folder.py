"""A watched folder: what is offered, when, and what becomes of it."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from splitnet.edge.capture.events import Events
from splitnet.edge.capture.folder import WatchedFolder
from splitnet.edge.config.sources import FolderSource
from splitnet.edge.daemon.item import Settled
from splitnet.errors import SourceError, UsageError
from tests.edge.capture.intake import SECONDS, FakeIntake, eventually, recorded, running

NEVER = 60.0
"""Seconds to settle: whoever is offered a file meanwhile has it from an event."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "photos"
    path.mkdir()
    return path


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once inotify listens."""
    listens = threading.Event()

    class Told(Events):
        def start(self) -> None:
            super().start()
            listens.set()

    monkeypatch.setattr("splitnet.edge.capture.folder.Events", Told)
    return listens


@pytest.fixture
def no_inotify(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: object) -> None:
        raise OSError(errno.ENOSPC, "inotify watch limit reached")

    monkeypatch.setattr("watchdog.observers.inotify.InotifyObserver.start", start)


def _source(path: Path, kind: Any = "image", **keys: Any) -> WatchedFolder:
    values: dict[str, Any] = {"kind": "folder", "path": path, "sink": "s", "settle": 0.0, "rescan": 0.05, **keys}
    return WatchedFolder("door", FolderSource.model_validate(values), kind)


def _write(path: Path, changed: int = 10**18) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"photo")
    os.utime(path, ns=(changed, changed))
    return path


async def _once(source: WatchedFolder, intake: FakeIntake) -> None:
    async with asyncio.timeout(SECONDS):
        await source.run(intake)


async def test_what_is_there_is_offered_oldest_first(folder: Path) -> None:
    _write(folder / "a.jpg", 3 * 10**18)
    _write(folder / "sub" / "b.jpg", 10**18)
    _write(folder / "c.jpg", 2 * 10**18)
    intake = FakeIntake()
    await _once(_source(folder, once=True), intake)
    assert intake.names == [str(folder / place) for place in ("sub/b.jpg", "c.jpg", "a.jpg")]
    assert [item.photo for item in intake.items] == [Path(name) for name in intake.names]
    assert {item.source for item in intake.items} == {"door"}


async def test_once_waits_until_files_have_settled(folder: Path) -> None:
    _write(folder / "a.jpg")
    intake = FakeIntake()
    await _once(_source(folder, once=True, settle=0.05), intake)
    assert intake.names == [str(folder / "a.jpg")]


async def test_once_ends_in_an_empty_folder(folder: Path) -> None:
    await _once(_source(folder, once=True), FakeIntake())


async def test_networks_without_images_get_arrays(folder: Path) -> None:
    _write(folder / "a.jpg")
    _write(folder / "b.npy")
    intake = FakeIntake()
    await _once(_source(folder, "tensor", once=True), intake)
    assert intake.names == [str(folder / "b.npy")]


async def test_ids_are_the_same_after_a_restart_and_known_files_are_skipped(folder: Path) -> None:
    _write(folder / "a.jpg")
    first = FakeIntake()
    await _once(_source(folder, once=True), first)
    _write(folder / "b.jpg")
    second = FakeIntake(known=[item.id for item in first.items])
    await _once(_source(folder, once=True), second)
    assert second.names == [str(folder / "b.jpg")]


async def test_a_file_that_changed_is_another_input(folder: Path) -> None:
    path = _write(folder / "a.jpg", 10**18)
    intake = FakeIntake()
    async with running(_source(folder), intake):
        await intake.until(1)
        _write(path, 2 * 10**18)
        await intake.until(2)
    assert intake.items[0].id != intake.items[1].id


async def test_a_file_is_offered_when_its_writer_closes_it(folder: Path, listening: threading.Event) -> None:
    intake = FakeIntake()
    async with running(_source(folder, settle=NEVER, rescan=NEVER), intake):
        await eventually(listening.is_set)
        with (folder / "slow.jpg").open("wb") as slow:
            slow.write(b"half a pho")
            slow.flush()
            (folder / "quick.jpg").write_bytes(b"photo")
            await intake.until(1)
            assert intake.names == [str(folder / "quick.jpg")]
            slow.write(b"to")
        await intake.until(2)
    assert intake.names[1] == str(folder / "slow.jpg")


async def test_a_file_is_offered_when_it_is_moved_in(folder: Path, listening: threading.Event) -> None:
    outside = _write(folder.parent / "a.jpg")
    hidden = _write(folder / "b.jpg.tmp")
    intake = FakeIntake()
    async with running(_source(folder, settle=NEVER, rescan=NEVER), intake):
        await eventually(listening.is_set)
        outside.rename(folder / "a.jpg")
        await intake.until(1)
        hidden.rename(folder / "b.jpg")
        await intake.until(2)
    assert intake.names == [str(folder / "a.jpg"), str(folder / "b.jpg")]


async def test_files_in_new_subfolders_are_found(folder: Path, listening: threading.Event) -> None:
    intake = FakeIntake()
    async with running(_source(folder, settle=0.05, rescan=NEVER), intake):
        await eventually(listening.is_set)
        _write(folder / "new" / "deep" / "a.jpg")
        await intake.until(1)
    assert intake.names == [str(folder / "new" / "deep" / "a.jpg")]


@pytest.mark.usefixtures("no_inotify")
async def test_without_inotify_it_looks_from_time_to_time(folder: Path) -> None:
    intake = FakeIntake()
    with capture_logs() as lines:
        async with running(_source(folder), intake):
            _write(folder / "a.jpg")
            await intake.until(1)
            _write(folder / "b.jpg")
            await intake.until(2)
    (line,) = lines
    assert line["reason"] == "inotify watch limit reached"


async def test_while_there_is_no_room_nothing_more_is_offered_and_nothing_is_lost(folder: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        _write(folder / name)
    source, full = _source(folder, once=True), FakeIntake()
    full.room.clear()
    async with running(source, full):
        async with asyncio.timeout(SECONDS):
            await full.waiting.wait()
    assert full.items == []
    intake = FakeIntake()
    await _once(source, intake)
    assert intake.names == [str(folder / "a.jpg"), str(folder / "b.jpg")]


async def test_a_dropped_file_is_not_offered_again_and_stays(folder: Path) -> None:
    _write(folder / "a.jpg")
    intake = FakeIntake(answer=lambda _: Settled("dropped"))
    source = _source(folder, drop="latest", after="delete", once=True)
    await _once(source, intake)
    forgetful = FakeIntake()
    await _once(source, forgetful)
    assert forgetful.items == []
    assert (folder / "a.jpg").exists()


@pytest.mark.parametrize("how", ["recorded", "spooled"])
async def test_files_are_deleted_once_they_are_safe(folder: Path, how: Any) -> None:
    path = _write(folder / "a.jpg")
    intake = FakeIntake()
    async with running(_source(folder, after="delete"), intake):
        await intake.until(1)
        _write(folder / "b.jpg")
        await intake.until(2)
        assert path.exists(), "not before it is answered"
        intake.items[0].settle(Settled(how))
        await eventually(lambda: not path.exists())
        assert (folder / "b.jpg").exists()


async def test_files_are_moved_to_a_folder_inside_that_is_not_watched(folder: Path) -> None:
    _write(folder / "sub" / "a.jpg")
    intake = FakeIntake(answer=recorded)
    moved = folder / "done" / "sub" / "a.jpg"
    async with running(_source(folder, after="move", moved_to=folder / "done"), intake):
        await eventually(moved.exists)
        _write(folder / "later.jpg")
        await intake.until(2)
    assert intake.names == [str(folder / "sub" / "a.jpg"), str(folder / "later.jpg")]


async def test_a_file_answered_in_an_earlier_life_is_put_away(folder: Path) -> None:
    path = _write(folder / "a.jpg")
    first = FakeIntake(answer=recorded)
    await _once(_source(folder, once=True), first)
    assert path.exists()
    second = FakeIntake(known=[item.id for item in first.items])
    async with running(_source(folder, after="delete"), second):
        await eventually(lambda: not path.exists())
    assert second.items == []


async def test_a_file_that_is_under_way_across_a_reload_is_left_until_it_is_answered(folder: Path) -> None:
    path = _write(folder / "a.jpg")
    intake = FakeIntake()
    await _once(_source(folder, after="delete", once=True), intake)
    await _once(_source(folder, after="delete", once=True), intake)
    assert len(intake.items) == 1
    # Whatever ran in a thread would be done before this.
    await asyncio.get_running_loop().shutdown_default_executor()
    assert path.exists()
    intake.items[0].settle(Settled("dropped"))


async def test_a_failure_to_put_away_is_said_once_for_each_file(folder: Path) -> None:
    moved_to = folder.parent / "done"
    moved_to.write_text("a file where a folder should be")
    _write(folder / "a.jpg")
    intake = FakeIntake(answer=recorded)
    with capture_logs() as lines:
        async with running(_source(folder, after="move", moved_to=moved_to), intake):
            await eventually(lambda: len(lines) == 1)
            for count in (2, 3):
                _write(folder / f"later{count}.jpg")
                await intake.until(count)
            await eventually(lambda: len(lines) == 3)
    assert sorted(line["path"] for line in lines) == sorted(intake.names)


async def test_a_folder_that_is_not_there_is_said_with_its_path_and_may_come(folder: Path) -> None:
    source, intake = _source(folder / "later", once=True), FakeIntake()
    with pytest.raises(SourceError, match=r"photos/later cannot be read: No such file"):
        await _once(source, intake)
    _write(folder / "later" / "a.jpg")
    await _once(source, intake)
    assert len(intake.items) == 1


async def test_a_folder_that_is_a_file_is_said(folder: Path) -> None:
    with pytest.raises(SourceError, match="Not a directory"):
        await _once(_source(_write(folder / "a.jpg")), FakeIntake())


async def test_a_folder_that_vanishes_ends_the_source_and_it_goes_on_when_it_is_back(folder: Path) -> None:
    source, intake = _source(folder), FakeIntake()
    away = folder.parent / "away"
    _write(folder / "a.jpg")
    async with asyncio.timeout(SECONDS):
        ending = asyncio.create_task(source.run(intake))
        await intake.until(1)
        folder.rename(away)
        with pytest.raises(SourceError, match="photos"):
            await ending
    away.rename(folder)
    _write(folder / "b.jpg")
    async with running(source, intake):
        await intake.until(2)
    assert intake.names[1] == str(folder / "b.jpg")


async def test_another_folder_of_the_same_name_is_noticed(folder: Path) -> None:
    intake = FakeIntake()
    _write(folder / "a.jpg")
    async with asyncio.timeout(SECONDS):
        ending = asyncio.create_task(_source(folder).run(intake))
        await intake.until(1)
        fresh = folder.parent / "fresh"
        fresh.mkdir()
        folder.rename(folder.parent / "old")
        fresh.rename(folder)
        with pytest.raises(SourceError):
            await ending


async def test_names_that_are_no_utf8_are_shown_with_escapes(folder: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(folder) + b"/\xff.jpg"))
    _write(path)
    intake = FakeIntake()
    await _once(_source(folder, once=True), intake)
    (item,) = intake.items
    assert item.name == f"{folder}/\\xff.jpg"
    assert item.photo == path


def test_files_cannot_be_moved_to_where_they_come_from(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"sources\.door\.moved_to"):
        _source(folder, after="move", moved_to=folder / "x" / "..")
