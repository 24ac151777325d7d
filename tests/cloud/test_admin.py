"""Administration over its own socket."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner, Result

from splitnet.cli import app
from splitnet.cloud import InferenceService
from splitnet.cloud.admin import AdminServer
from splitnet.cloud.repository.manage import manage
from splitnet.cloud.repository.repository import Repository
from splitnet.cloud.server import Server
from splitnet.errors import BundleError, UnavailableError, UnknownError, UsageError
from splitnet.v1 import admin_pb2 as pb
from splitnet.v1 import admin_pb2_grpc as pb_grpc
from tests.cloud.conftest import Deploy


@pytest.fixture
async def place(deploy: Deploy, models: Path, tmp_path: Path) -> AsyncIterator[Path]:
    """The socket of a service with versions 1 and 2."""
    deploy("1"), deploy("2")
    async with manage(InferenceService(), models, admin_socket=tmp_path / "admin"):
        yield tmp_path / "admin"


@pytest.fixture
async def stub(place: Path) -> AsyncIterator[pb_grpc.AdminServiceAsyncStub]:
    async with grpc.aio.insecure_channel(f"unix:{place}") as channel:
        yield pb_grpc.AdminServiceStub(channel)


async def _code(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    code = caught.value.code()
    assert isinstance(code, grpc.StatusCode)
    return code


async def test_every_call(stub: pb_grpc.AdminServiceAsyncStub, deploy: Deploy) -> None:
    listed = (await stub.ListVersions(pb.ListVersionsRequest())).versions
    assert [(one.version, one.state, one.default) for one in listed] == [
        ("2", pb.VERSION_STATE_SERVING, True),
        ("1", pb.VERSION_STATE_SERVING, False),
    ]
    assert len(listed[0].fingerprint) == 32
    pinned = await stub.SetDefault(pb.SetDefaultRequest(name="tiny", version="1"))
    assert pinned.version.pinned
    gone = await stub.Unload(pb.UnloadRequest(name="tiny", version="2"))
    assert (gone.version.state, gone.version.fingerprint) == (pb.VERSION_STATE_UNLOADED, b"")
    (deploy("2").path / "whole.onnx").unlink()
    broken = await stub.Load(pb.LoadRequest(name="tiny", version="2"))
    assert broken.version.state == pb.VERSION_STATE_FAILED
    assert "whole.onnx is missing" in broken.version.error
    deploy("2")
    again = (await stub.Reload(pb.ReloadRequest(name="tiny"))).versions
    assert [(one.version, one.state) for one in again] == [
        ("1", pb.VERSION_STATE_SERVING),
        ("2", pb.VERSION_STATE_SERVING),
    ]


async def test_status_codes(stub: pb_grpc.AdminServiceAsyncStub) -> None:
    for call in (
        stub.Load(pb.LoadRequest(name="x")),
        stub.Reload(pb.ReloadRequest(name="tiny", version="3")),
        stub.Unload(pb.UnloadRequest(name="tiny", version="3")),
        stub.SetDefault(pb.SetDefaultRequest(name="tiny", version="3")),
    ):
        assert await _code(call) is grpc.StatusCode.NOT_FOUND
    for call in (
        stub.Load(pb.LoadRequest()),
        stub.Unload(pb.UnloadRequest(name="tiny")),
        stub.Load(pb.LoadRequest(name="tiny", fingerprint=b"short")),
    ):
        assert await _code(call) is grpc.StatusCode.INVALID_ARGUMENT


async def test_the_socket_is_its_owners_alone_and_goes_with_the_service(
    models: Path, tmp_path: Path, deploy: Deploy
) -> None:
    place = tmp_path / "admin"
    async with manage(InferenceService(), models, watch=True, admin_socket=place):
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
        with pytest.raises(UsageError, match=r"answers at .* already"):
            await AdminServer(Repository(InferenceService()), socket_path=place).start()
    assert not place.exists()


async def test_a_socket_left_behind_is_replaced(models: Path, tmp_path: Path) -> None:
    place = tmp_path / "admin"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(place))
    async with manage(InferenceService(), models, admin_socket=place):
        assert place.is_socket()


async def test_where_it_is_refused(tmp_path: Path) -> None:
    repository = Repository(InferenceService())
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is not a socket"):
        await AdminServer(repository, socket_path=tmp_path / "file").start()
    with pytest.raises(UsageError, match="cannot listen"):
        await AdminServer(repository, socket_path=tmp_path / "absent" / "admin").start()
    with pytest.raises(UsageError, match="107 bytes"):
        AdminServer(repository, socket_path=tmp_path / ("x" * 100))
    with pytest.raises(UsageError, match="needs mutual TLS"):
        AdminServer(repository, listen="127.0.0.1:0")
    with pytest.raises(UsageError, match="Unix socket or"):
        AdminServer(repository)


async def test_the_public_port_has_no_administration(deploy: Deploy) -> None:
    async with Server(InferenceService([deploy("1")])) as server, grpc.aio.insecure_channel(server.address) as channel:
        stub: Any = pb_grpc.AdminServiceStub(channel)
        assert await _code(stub.ListVersions(pb.ListVersionsRequest())) is grpc.StatusCode.UNIMPLEMENTED


async def _splitnet(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["admin", *arguments])


async def test_commands(place: Path, deploy: Deploy) -> None:
    (deploy("2").path / "whole.onnx").unlink()
    where = ("--socket", str(place))
    default = await _splitnet("default", "tiny@1", *where)
    assert (default.exit_code, "pinned" in default.stdout) == (0, True)
    broken = await _splitnet("reload", "tiny@2", *where)
    assert isinstance(broken.exception, BundleError)
    assert "whole.onnx is missing" in str(broken.exception)
    unknown = await _splitnet("unload", "tiny@3", *where)
    assert isinstance(unknown.exception, UnknownError)
    assert (await _splitnet("unload", "tiny@2", *where)).exit_code == 0
    assert (await _splitnet("load", "tiny@1", *where)).exit_code == 0
    listed = await _splitnet("list", "--json", *where)
    assert [json.loads(line)["state"] for line in listed.stdout.splitlines()] == ["unloaded", "serving"]
    assert isinstance((await _splitnet("load", "tiny@", *where)).exception, UsageError)


async def test_commands_without_a_service(tmp_path: Path) -> None:
    absent = await _splitnet("list", "--socket", str(tmp_path / "absent"))
    assert isinstance(absent.exception, UnavailableError)
