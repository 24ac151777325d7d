"""Versions that come and go while requests run."""

from __future__ import annotations

import gc
import shutil
import weakref
from pathlib import Path

import pytest
import structlog

from splitnet.bundle.versions import version_key
from splitnet.cloud import InferenceService
from splitnet.cloud.model import CloudModel
from splitnet.cloud.repository.folder import PIN, Folder
from splitnet.cloud.repository.repository import Repository
from splitnet.cloud.repository.state import State, Version
from splitnet.cloud.repository.watch import Watcher
from splitnet.errors import InvalidRequestError, UnknownError, UsageError
from tests.cloud.conftest import Deploy, request_for


@pytest.fixture
def service() -> InferenceService:
    return InferenceService()


@pytest.fixture
def repository(service: InferenceService, models: Path) -> Repository:
    return Repository(service, models)


def _states(versions: list[Version]) -> dict[str, State]:
    return {one.version: one.state for one in versions}


def test_order_of_versions() -> None:
    ordered = ["0.9", "1.9", "1.10-alpha", "1.10-rc1", "1.10-rc2", "1.10", "1.10.1", "2", "2.0"]
    mixed = set(ordered)
    assert sorted(mixed, key=version_key) == ordered


async def test_all_versions_are_served_and_the_newest_is_the_default(
    service: InferenceService, repository: Repository, deploy: Deploy
) -> None:
    bundles = [deploy(version) for version in ("9", "10", "8")]
    await repository.start()
    assert [(one.version, one.default) for one in await repository.versions()] == [
        ("10", True),
        ("9", False),
        ("8", False),
    ]
    assert service.describe("tiny").summary.version == "10"
    for bundle in bundles:
        assert list(service.infer(request_for(bundle)).results) == ["scores", "vector"]


@pytest.mark.parametrize("damage", ["altered", "missing", "manifest", "place", "graph"])
async def test_a_broken_bundle_is_reported_and_the_old_one_serves(
    service: InferenceService, repository: Repository, deploy: Deploy, damage: str
) -> None:
    bundle = deploy("1")
    await repository.start()
    before = service.served.exact("tiny", "1")
    graph = bundle.path / "cuts" / "r2.cloud.onnx"
    match damage:
        case "altered":
            data = bytearray(graph.read_bytes())
            data[-1] ^= 1
            graph.write_bytes(data)
        case "missing":
            graph.unlink()
        case "manifest":
            (bundle.path / "bundle.json").write_text("{")
        case "place":
            shutil.copytree(deploy("2").path, bundle.path, dirs_exist_ok=True)
        case "graph":
            deploy("1", tasks=[{"name": "scores", "kind": "poetry", "input": "flat", "output": "scores"}])
    with structlog.testing.capture_logs() as logs:
        (after,) = await repository.reload("tiny", "1")
    assert after.state is State.SERVING
    assert after.error
    assert [one["event"] for one in logs] == ["cannot load"]
    assert service.served.exact("tiny", "1") is before
    assert service.infer(request_for(bundle)).results

    shutil.rmtree(bundle.path)
    deploy("1")
    (repaired,) = await repository.reload("tiny", "1")
    assert repaired.error == ""
    assert service.served.exact("tiny", "1") is not before


async def test_one_broken_version_does_not_keep_the_others_from_the_start(
    service: InferenceService, repository: Repository, deploy: Deploy
) -> None:
    deploy("1")
    (deploy("2").path / "whole.onnx").unlink()
    await repository.start()
    assert _states(await repository.versions()) == {"2": State.FAILED, "1": State.SERVING}
    assert service.describe("tiny").summary.version == "1"


async def test_a_graph_that_does_not_run_is_not_served(
    repository: Repository, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy("1")

    def fail(model: CloudModel, batch: int) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(CloudModel, "warm_up", fail)
    await repository.start()
    (version,) = await repository.versions()
    assert version.state is State.FAILED
    assert "RuntimeError" in version.error


async def test_unload_frees_the_model_and_load_brings_it_back(
    service: InferenceService, repository: Repository, deploy: Deploy
) -> None:
    bundle = deploy("1")
    deploy("2")
    await repository.start()
    model = weakref.ref(service.served.exact("tiny", "2"))
    assert (await repository.unload("tiny", "2")).state is State.UNLOADED
    gc.collect()
    assert model() is None
    assert service.describe("tiny").summary.version == "1"
    with pytest.raises(UnknownError, match="no version '2'; served: 1"):
        service.infer(request_for(bundle, version="2"))
    assert (await repository.load("tiny")).version == "2"
    again = service.served.exact("tiny", "2")
    assert (await repository.load("tiny", "2")).default
    assert service.served.exact("tiny", "2") is again


async def test_only_the_bundle_expected_is_loaded(repository: Repository, deploy: Deploy) -> None:
    bundle = deploy("1")
    wrong = await repository.load("tiny", "1", "00" * 32)
    assert (wrong.state, wrong.fingerprint) == (State.FAILED, "")
    assert bundle.fingerprint in wrong.error
    assert (await repository.load("tiny", "1", bundle.fingerprint)).state is State.SERVING


async def test_what_is_nowhere(repository: Repository, deploy: Deploy) -> None:
    deploy("1")
    await repository.start()
    for call in (repository.load("x"), repository.reload("x"), repository.set_default("x", "1")):
        with pytest.raises(UnknownError, match="no model 'x'"):
            await call
    for call in (repository.load("tiny", "2"), repository.reload("tiny", "2"), repository.unload("tiny", "2")):
        with pytest.raises(UnknownError, match=r"no version '2'|has no version"):
            await call
    with pytest.raises(InvalidRequestError, match="name one"):
        await repository.unload("tiny", "")


async def test_the_default_is_pinned_in_the_folder(
    service: InferenceService, repository: Repository, models: Path, deploy: Deploy
) -> None:
    deploy("1"), deploy("2")
    await repository.start()
    pinned = await repository.set_default("tiny", "1")
    assert (pinned.version, pinned.default, pinned.pinned) == ("1", True, True)
    assert (models / "tiny" / PIN).read_text() == "1\n"

    restarted = InferenceService()
    await Repository(restarted, models).start()
    assert restarted.describe("tiny").summary.version == "1"

    assert (await repository.set_default("tiny", "")).version == "2"
    assert not (models / "tiny" / PIN).exists()


async def test_a_folder_that_cannot_be_written_to_pins_for_now(
    service: InferenceService, repository: Repository, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy("1"), deploy("2")
    await repository.start()
    monkeypatch.setattr(Folder, "pin", lambda *_: False)
    with structlog.testing.capture_logs() as logs:
        await repository.set_default("tiny", "1")
    assert "not kept past a restart" in logs[0]["event"]
    assert service.describe("tiny").summary.version == "1"


async def test_a_pin_to_what_is_not_served_falls_back_to_the_newest(
    service: InferenceService, repository: Repository, models: Path, deploy: Deploy
) -> None:
    deploy("1"), deploy("2")
    (models / "tiny" / PIN).write_text("7")
    with structlog.testing.capture_logs() as logs:
        await repository.start()
    assert service.describe("tiny").summary.version == "2"
    assert [one["pinned"] for one in logs if "pinned" in one] == ["7"]


async def test_what_the_service_began_with_is_managed_too(deploy: Deploy) -> None:
    service = InferenceService([deploy("1")])
    repository = Repository(service)
    await repository.start()
    assert [one.state for one in await repository.reload("tiny")] == [State.SERVING]
    await repository.unload("tiny", "1")
    assert _states(await repository.versions()) == {"1": State.UNLOADED}
    assert service.models() == []


def test_no_folder(service: InferenceService, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        Repository(service, tmp_path / "absent")


async def test_the_watcher_loads_what_has_settled(
    service: InferenceService, repository: Repository, models: Path, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("splitnet.cloud.repository.watch.time.monotonic", lambda: now)
    watcher = Watcher(repository, settle=3.0)
    bundle = deploy("1")
    graph = bundle.path / "cuts" / "r1.cloud.onnx"
    data = graph.read_bytes()
    await repository.start()

    graph.write_bytes(data[:100])  # a copy under way
    await watcher.look()
    now += 2
    await watcher.look()
    graph.write_bytes(data)
    await watcher.look()
    before = service.served.exact("tiny", "1")
    now += 2
    await watcher.look()
    assert service.served.exact("tiny", "1") is before
    now += 2
    await watcher.look()
    after = service.served.exact("tiny", "1")
    assert after is not before

    deploy("2")
    await watcher.look()
    now += 4
    await watcher.look()
    assert service.describe("tiny").summary.version == "2"
    assert service.served.exact("tiny", "1") is after

    await repository.unload("tiny", "2")
    (models / "tiny" / PIN).write_text("1")
    now += 4
    await watcher.look()
    assert _states(await repository.versions()) == {"2": State.UNLOADED, "1": State.SERVING}

    shutil.rmtree(models / "tiny" / "1")
    await watcher.look()
    now += 4
    with structlog.testing.capture_logs() as logs:
        await watcher.look()
    assert "its folder is gone" in logs[0]["event"]
    assert service.models() == []


async def test_the_watcher_reports_what_stays_broken_once(
    repository: Repository, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("splitnet.cloud.repository.watch.time.monotonic", lambda: now)
    watcher = Watcher(repository, settle=3.0)
    (deploy("1").path / "whole.onnx").unlink()
    with structlog.testing.capture_logs() as logs:
        for _ in range(4):
            await watcher.look()
            now += 4
    assert [one["event"] for one in logs] == ["cannot load"]
    assert _states(await repository.versions()) == {"1": State.FAILED}
