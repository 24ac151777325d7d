"""Bundles over the air, from a real service to a running daemon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from splitnet.bundle import Bundle
from splitnet.bundle.signature import SIGNATURE, sign_bundle
from splitnet.cloud import InferenceService
from splitnet.cloud.server import Server
from splitnet.edge.fetch import FetchLimits, fetch_bundle
from splitnet.edge.updates.shelf import Shelf
from splitnet.edge.updates.updater import Updater, Updates
from splitnet.errors import BundleError, ServiceError, UsageError
from splitnet.wire.credentials import NO_CREDENTIALS
from tests.edge.daemon.rig import PATIENCE, Rig, until
from tests.edge.updates.versions import make_version
from tests.keys import Keys, make_keys

ONCE = FetchLimits(attempts=1)


@pytest.fixture
def mine(tiny_bundle: Bundle, tmp_path: Path) -> Bundle:
    """Version 1, as a device has it."""
    return make_version(tiny_bundle, tmp_path / "mine", "1")


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return make_keys(tmp_path)


@asynccontextmanager
async def serving(*bundles: Bundle) -> AsyncIterator[str]:
    async with Server(InferenceService(list(bundles))) as server:
        yield server.address


def updater(address: str, bundle: Bundle, folder: Path, keys: Keys, trial: object = None) -> Updater:
    updates = Updates(
        model="tiny",
        bundle=bundle,
        shelf=Shelf(folder, bundle.path),
        key=keys.public,
        interval=1.0,
        edge_only=True,
        trial=trial or (lambda _: None),  # type: ignore[arg-type]  # lambdas
    )
    return Updater(updates, [(address, NO_CREDENTIALS)], lambda: None)


async def test_a_signature_travels_with_its_bundle(tiny_bundle: Bundle, tmp_path: Path, keys: Keys) -> None:
    new = make_version(tiny_bundle, tmp_path / "new", "2", keys.private)
    async with serving(new) as address:
        found = await asyncio.to_thread(fetch_bundle, "tiny", address, tmp_path / "here", signed_by=keys.public)
    assert (found.path / SIGNATURE).read_bytes() == (new.path / SIGNATURE).read_bytes()


async def test_what_is_not_signed_by_the_owner_of_the_key_is_not_taken(
    tiny_bundle: Bundle, tmp_path: Path, keys: Keys
) -> None:
    other = make_keys(tmp_path, "other")
    unsigned = make_version(tiny_bundle, tmp_path / "unsigned", "2")
    foreign = make_version(tiny_bundle, tmp_path / "foreign", "3", other.private)
    for bundle, says in ((unsigned, "is not signed"), (foreign, "not by the owner")):
        async with serving(bundle) as address:
            with pytest.raises(BundleError, match=says):
                await asyncio.to_thread(fetch_bundle, "tiny", address, tmp_path / "here", signed_by=keys.public)
    assert not (tmp_path / "here").exists()


async def test_what_was_fetched_without_a_key_is_checked_when_one_is_given(
    tiny_bundle: Bundle, tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All files are here, and only the last step is missing: the key counts all the same."""
    from splitnet.edge.partial import Partial

    new = make_version(tiny_bundle, tmp_path / "new", "2")

    def broken(self: Partial) -> Bundle:
        raise ServiceError("interrupted")

    async with serving(new) as address:
        with monkeypatch.context() as patched:
            patched.setattr(Partial, "finish", broken)
            with pytest.raises(ServiceError, match="interrupted"):
                await asyncio.to_thread(fetch_bundle, "tiny", address, tmp_path / "here")
        with pytest.raises(BundleError, match="is not signed"):
            await asyncio.to_thread(fetch_bundle, "tiny", address, tmp_path / "here", signed_by=keys.public)


async def test_a_key_that_is_none_is_an_error_before_anything_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        await asyncio.to_thread(fetch_bundle, "tiny", "127.0.0.1:1", tmp_path / "here", signed_by=tmp_path / "nokey")


@pytest.mark.parametrize("version", ["0", "1", "1-rc1"])
async def test_a_version_that_is_not_newer_never_comes_from_a_server(
    tiny_bundle: Bundle, tmp_path: Path, keys: Keys, version: str
) -> None:
    mine = make_version(tiny_bundle, tmp_path / "mine", "1.1" if version == "1" else "1")
    offered = make_version(tiny_bundle, tmp_path / "offered", version, keys.private)
    async with serving(offered) as address:
        one = updater(address, mine, tmp_path / "shelf", keys)
        assert not await asyncio.to_thread(one.look)
    assert not (tmp_path / "shelf").exists()


async def test_a_newer_version_is_fetched_tried_and_switched_to(
    tiny_bundle: Bundle, mine: Bundle, tmp_path: Path, keys: Keys
) -> None:
    new = make_version(tiny_bundle, tmp_path / "new", "2", keys.private)
    tried = []
    async with serving(new) as address:
        one = updater(address, mine, tmp_path / "shelf", keys, lambda found: tried.append(found.fingerprint))
        assert await asyncio.to_thread(one.look)
        # Until the reload it is there and not in use: no second time.
        assert not await asyncio.to_thread(one.look)
    shelf = Shelf(tmp_path / "shelf", mine.path)
    assert tried == [new.fingerprint]
    assert Bundle.load(shelf.current, half="edge").fingerprint == new.fingerprint
    # What only the cloud needs did not come.
    assert not (shelf.current / new.manifest.whole).exists()


async def test_one_that_fails_its_trial_is_not_used_and_not_fetched_again(
    tiny_bundle: Bundle, mine: Bundle, tmp_path: Path, keys: Keys
) -> None:
    new = make_version(tiny_bundle, tmp_path / "new", "2", keys.private)

    def trial(_: Bundle) -> None:
        raise BundleError("it does not run here")

    async with serving(new) as address:
        one = updater(address, mine, tmp_path / "shelf", keys, trial)
        with pytest.raises(BundleError, match="does not run here"):
            await asyncio.to_thread(one.look)
        shelf = Shelf(tmp_path / "shelf", mine.path)
        assert shelf.current == mine.path
        assert shelf.state.refused == (new.fingerprint,)
        assert not await asyncio.to_thread(one.look)


async def test_a_daemon_takes_an_update_without_losing_a_photo(
    tiny_bundle: Bundle, mine: Bundle, tmp_path: Path, keys: Keys
) -> None:
    new = make_version(tiny_bundle, tmp_path / "new", "2", keys.private)
    rig = Rig(tmp_path, mine, source={"once": False, "fallback": ["spool"], "rate": 100})
    rig.model = f'[models.tiny.updates]\nkey = "{keys.public}"\ninterval = 1'
    async with Server(InferenceService([new, mine])) as server:
        rig.server = server.address
        shelf = Shelf(rig.folder / "state" / "bundles" / "tiny", mine.path)
        number = 0
        async with rig.running():
            await until(lambda: (rig.folder / "state" / "lock").exists())
            # The old version is the default: nothing to take.
            rig.photos(5)
            await until(lambda: len(rig.records()) == 5)
            server._service.served.set_default("tiny", "2")
            async with asyncio.timeout(PATIENCE):
                while not shelf.state.current:
                    rig.photos(1, first=10 + number)
                    number += 1
                    await asyncio.sleep(0.02)
            rig.photos(5, first=1000)
            await until(lambda: len(rig.records()) == 10 + number)
    rows = rig.records()
    assert {row["status"] for row in rows} == {"cloud"}
    assert shelf.state.current == new.fingerprint
    assert shelf.roll_back() == mine.path


async def test_a_damaged_update_gives_way_to_the_configured_bundle(
    tiny_bundle: Bundle, tmp_path: Path, keys: Keys
) -> None:
    new = make_version(tiny_bundle, tmp_path / "state" / "bundles" / "tiny" / ("f" * 64), "2")
    sign_bundle(new.path, new.fingerprint, keys.private)
    shelf = Shelf(tmp_path / "state" / "bundles" / "tiny", tiny_bundle.path)
    shelf.switch("f" * 64)
    (new.path / "bundle.json").write_text("{}")
    rig = Rig(tmp_path, tiny_bundle)
    rig.model = f'[models.tiny.updates]\nkey = "{keys.public}"'
    rig.photos(2)
    await rig.run()
    assert len(rig.names("local")) == 2
    assert shelf.current == tiny_bundle.path
