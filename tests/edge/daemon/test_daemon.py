"""The daemon from folder to sink, with a real service, its outage, and its return."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
from pathlib import Path

import pytest
from PIL import Image

from splitnet.bundle import Bundle
from splitnet.cloud import InferenceService
from splitnet.cloud.server import Server
from splitnet.edge.daemon import pipeline, running
from splitnet.errors import ConfigError, ImageError, InternalError, UsageError
from splitnet.models import preprocess
from tests.edge.daemon.rig import Rig, serving, until


@pytest.fixture
def rig(tiny_bundle: Bundle, tmp_path: Path) -> Rig:
    return Rig(tmp_path, tiny_bundle)


def free_address() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{found.getsockname()[1]}"


async def test_every_photo_of_a_folder_is_answered_by_the_server(rig: Rig) -> None:
    async with serving(rig.bundle) as server:
        rig.server = server.address
        rig.photos(12)
        async with rig.running():
            await until(lambda: len(rig.records()) == 12)
    rows = rig.records()
    assert {row["status"] for row in rows} == {"cloud"}
    first = rows[0]
    assert (first["source"], first["model"], first["spooled"]) == ("door", "tiny", 0)
    assert first["cut"] == "r2"
    assert first["frame_bytes"] > 0
    assert set(first["results"]) == {task.name for task in rig.bundle.manifest.tasks}


async def test_without_a_server_the_device_answers(rig: Rig) -> None:
    rig.photos(3)
    await rig.run()
    assert rig.names("local") == ["0000.png", "0001.png", "0002.png"]


async def test_the_device_and_the_server_give_the_same_answers(rig: Rig) -> None:
    rig.photos(4)
    await rig.run()
    alone = [row["results"] for row in rig.records()]
    (rig.folder / "out.sqlite").unlink()
    (rig.folder / "state" / "state.sqlite").unlink()
    rig.model = 'cut = "r2"\ncodec = "none|raw"'
    rig.source = {"fallback": ["spool"]}
    async with serving(rig.bundle) as server:
        rig.server = server.address
        await rig.run()
    asked = rig.records()
    assert [row["status"] for row in asked] == ["cloud"] * 4
    for mine, theirs in zip(alone, asked, strict=True):
        for task, result in theirs["results"].items():
            assert mine[task]["values"] == pytest.approx(result["values"], abs=1e-5)


async def test_what_was_answered_is_not_answered_again(rig: Rig) -> None:
    rig.photos(3)
    await rig.run()
    before = rig.records()
    rig.photos(2, first=3)
    await rig.run()
    assert rig.records()[:3] == before
    assert len(rig.records()) == 5


async def test_an_outage_fills_the_spool_and_the_link_empties_it(rig: Rig) -> None:
    rig.source = {"fallback": ["spool"]}
    rig.server = free_address()
    rig.photos(8)
    running = asyncio.create_task(rig.run())
    await until(lambda: (rig.folder / "state" / "state.sqlite").exists() and _waiting(rig) == 8)
    assert rig.records() == []
    async with serving(rig.bundle, rig.server):
        await running
    rows = rig.records()
    assert len(rows) == 8
    assert {(row["status"], row["spooled"]) for row in rows} == {("cloud", 1)}
    assert _waiting(rig) == 0


def _waiting(rig: Rig) -> int:
    import sqlite3

    database = sqlite3.connect(rig.folder / "state" / "state.sqlite")
    try:
        return int(database.execute("SELECT count(*) FROM spool").fetchone()[0])
    except sqlite3.OperationalError:
        return -1
    finally:
        database.close()


async def test_the_spool_survives_the_daemon(rig: Rig) -> None:
    rig.source = {"fallback": ["spool"], "once": False, "after": "delete"}
    rig.server = free_address()
    rig.photos(5)
    async with rig.running():
        await until(lambda: not list(rig.inbox.glob("*.png")))
    assert rig.records() == []
    rig.source["once"] = True
    async with serving(rig.bundle, rig.server):
        await rig.run()
    assert len(rig.names("cloud")) == 5


async def test_frames_that_grew_too_old_say_so(rig: Rig) -> None:
    rig.source = {"fallback": ["spool"]}
    rig.server = free_address()
    rig.more = "[spool]\nmax_age = 0.05"
    rig.photos(2)
    await rig.run()
    rows = rig.records()
    assert [row["status"] for row in rows] == ["expired", "expired"]
    assert all("waited" in row["error"] for row in rows)


async def test_a_photo_that_cannot_be_read_is_a_record_and_the_others_go_on(rig: Rig) -> None:
    rig.photos(3)
    (rig.inbox / "0001.png").write_bytes(b"this is no photo")
    await rig.run()
    assert rig.names("local") == ["0000.png", "0002.png"]
    (bad,) = [row for row in rig.records() if row["status"] == "failed"]
    assert bad["name"] == "0001.png"
    assert "0001.png" in bad["error"]


async def test_a_photo_that_failed_stays_where_the_others_are_deleted(rig: Rig) -> None:
    rig.source = {"after": "delete"}
    rig.photos(2)
    (rig.inbox / "0009.png").write_bytes(b"this is no photo")
    await rig.run()
    assert [path.name for path in rig.inbox.iterdir()] == ["0009.png"]


async def test_a_disk_that_stumbles_fails_no_photo(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "PAUSES", (0.001, 0.001))
    stumbles = 2
    whole = preprocess.load_image

    def load(path: Path, *, short_side: int | None = None) -> Image.Image:
        nonlocal stumbles
        if stumbles:
            stumbles -= 1
            raise ImageError(f"{path}: cannot be read") from OSError(errno.EIO, "Input/output error")
        return whole(path, short_side=short_side)

    monkeypatch.setattr(preprocess, "load_image", load)
    rig.photos(3)
    await rig.run()
    assert len(rig.names("local")) == 3


async def test_a_sink_that_is_not_there_yet_is_waited_for(rig: Rig) -> None:
    rig.source = {"sink": "late"}
    rig.more = "[sinks.late]\nkind = 'folder'\npath = 'not/yet'"
    rig.photos(2)
    running = asyncio.create_task(rig.run())
    await until(lambda: (rig.folder / "state" / "state.sqlite").exists() and _waiting(rig) == 0)
    (rig.folder / "not").mkdir()
    await running
    assert len(list((rig.folder / "not" / "yet").glob("*.json"))) == 2


async def test_a_part_that_ends_by_itself_ends_the_daemon_with_an_error(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ends(*_: object) -> None:
        return

    monkeypatch.setattr(running, "gauge", ends)
    rig.source = {"once": False}
    with pytest.raises(InternalError, match="a part of the daemon ended by itself"):
        await rig.run()


def test_the_same_question_about_the_same_input_is_the_same_request() -> None:
    one = ("0" * 32, "tiny", "r1", ("scores",), 5, b"frame")
    assert pipeline.request_id(*one) == pipeline.request_id(*one)
    others = [
        ("1" * 32, *one[1:]), (one[0], "other", *one[2:]), (*one[:2], "r2", *one[3:]), (*one[:3], (), *one[4:]),
        (*one[:4], 6, one[5]), (*one[:5], b"other"),
    ]  # fmt: skip
    assert len({pipeline.request_id(*one), *(pipeline.request_id(*other) for other in others)}) == 7


async def test_a_server_with_another_bundle_is_as_good_as_none(rig: Rig, pyramid_bundle: Bundle) -> None:
    async with serving(pyramid_bundle) as server:
        rig.server = server.address
        rig.photos(3)
        await rig.run()
    assert len(rig.names("local")) == 3


async def test_the_second_server_answers_where_the_first_is_gone(rig: Rig) -> None:
    async with serving(rig.bundle) as server:
        rig.server = free_address()
        rig.more = f'[[servers]]\naddress = "{server.address}"'
        rig.source = {"fallback": ["spool"]}
        rig.photos(4)
        await rig.run()
    assert len(rig.names("cloud")) == 4


async def test_a_server_that_answers_rubbish_loses_nothing(rig: Rig) -> None:
    async def rubbish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nwhatever\x00\xff" * 10)
        writer.close()

    listener = await asyncio.start_server(rubbish, "127.0.0.1", 0)
    async with listener:
        host, port = listener.sockets[0].getsockname()
        rig.server = f"{host}:{port}"
        rig.photos(3)
        await rig.run()
    assert len(rig.names("local")) == 3


async def test_a_server_that_dies_under_load_loses_nothing(rig: Rig) -> None:
    rig.source = {"fallback": ["spool"]}
    rig.server = free_address()
    rig.photos(40)
    first = Server(InferenceService([rig.bundle]), listen=rig.server)
    await first.start()
    running = asyncio.create_task(rig.run())
    await until(lambda: len(rig.records()) > 5)
    await first.stop(0.0)
    async with serving(rig.bundle, rig.server):
        await running
    rows = rig.records()
    assert len(rows) == 40
    assert {row["status"] for row in rows} == {"cloud"}


async def test_a_changed_configuration_takes_effect_and_a_wrong_one_does_not(rig: Rig) -> None:
    rig.source = {"once": False}
    async with rig.running() as task:
        rig.photos(2)
        await until(lambda: len(rig.records()) == 2)
        rig.config.write_text("state = 3")
        os.kill(os.getpid(), signal.SIGHUP)
        rig.photos(2, first=2)
        await until(lambda: len(rig.records()) == 4)
        (rig.folder / "more").mkdir()
        rig.more = "[sources.window]\nkind = 'folder'\npath = 'more'\nsink = 'out'\nsettle = 0.0\nrescan = 0.05"
        rig.write()
        os.kill(os.getpid(), signal.SIGHUP)
        (rig.folder / "more" / "9.png").write_bytes((rig.inbox / "0000.png").read_bytes())
        await until(lambda: len(rig.records()) == 5)
        assert rig.records()[-1]["source"] == "window"
        assert not task.done()


async def test_one_daemon_for_a_state(rig: Rig) -> None:
    rig.source = {"once": False}
    async with rig.running():
        await until(lambda: (rig.folder / "state" / "lock").exists())
        with pytest.raises(UsageError, match="another daemon uses the state"):
            await rig.run()


async def test_an_unchanged_scene_repeats_the_last_answer(rig: Rig) -> None:
    rig.source = {"drop": "latest", "skip": 0.01, "fallback": [], "deadline": 20.0}
    async with serving(rig.bundle) as server:
        rig.server = server.address
        rig.source["once"] = False
        async with rig.running():
            rig.photos(1)
            await until(lambda: len(rig.records()) == 1)
            (rig.inbox / "0001.png").write_bytes((rig.inbox / "0000.png").read_bytes())
            await until(lambda: len(rig.records()) == 2)
    first, second = rig.records()
    assert (first["status"], second["status"]) == ("cloud", "skipped")
    assert second["results"] == first["results"]
    assert (first["frame_bytes"] > 0, second["frame_bytes"]) == (True, 0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"source": {"tasks": ["flying"]}}, r"sources\.door: .*no task 'flying'; it has: "),
        ({"source": {"sink": "drain"}}, r"line \d+, sources\.door\.sink: no sink 'drain'; there are out"),
        ({"source": {"model": "huge"}}, r"line \d+, sources\.door\.model: no model 'huge'; there are tiny"),
        ({"model": "cut = 'nowhere'"}, r"sources\.door: .*no cut 'nowhere'"),
        ({"model": "codec = 'zip'"}, r"sources\.door: codec 'zip'"),
        ({"model": "cloud_only = ['flying']"}, r"models\.tiny: .*no task 'flying'"),
        ({"model": "cloud_only = ['vector']"}, "no server is configured, and the device cannot answer all"),
    ],
)
async def test_configurations_that_cannot_be_run(rig: Rig, change: dict[str, object], says: str) -> None:
    for name, value in change.items():
        setattr(rig, name, value)
    with pytest.raises(ConfigError, match=says):
        await rig.run()
